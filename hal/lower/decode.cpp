#include "hal/lower/decode.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace qama::hal {
namespace {

bool is_set(std::span<const std::uint64_t> spins, std::int64_t bit) {
  return ((spins[static_cast<std::size_t>(bit / 64)] >> (bit % 64)) & 1U) != 0;
}

/// A sum of doubles that rounds once, at the end: its terms as a few doubles whose exact sum it is
/// and none of which overlaps another, the smallest first (Shewchuk 1997; Python's fsum).
class ExactSum {
 public:
  void add(double value) {
    std::size_t kept = 0;
    for (double part : parts_) {
      if (std::fabs(value) < std::fabs(part)) std::swap(value, part);
      const double sum = value + part;
      const double rest = part - (sum - value);
      if (rest != 0) parts_[kept++] = rest;
      value = sum;
    }
    parts_.resize(kept);
    parts_.push_back(value);
  }
  /// The nearest double.
  [[nodiscard]] double result() const {
    std::size_t at = parts_.size();
    if (at == 0) return 0;
    double sum = parts_[--at];
    double rest = 0;
    while (at > 0 && rest == 0) {
      const double high = sum;
      sum = high + parts_[--at];
      rest = parts_[at] - (sum - high);
    }
    // Half way between two doubles: what is below decides.
    if (at > 0 && rest != 0 && (rest < 0) == (parts_[at - 1] < 0)) {
      const double twice = 2 * rest;
      const double other = sum + twice;
      if (twice == other - sum) sum = other;
    }
    return sum;
  }

 private:
  std::vector<double> parts_;
};

}  // namespace

double energy_of(const QamaLayer& layer, std::span<const std::uint64_t> spins) {
  const auto tokens = static_cast<std::size_t>(layer.tokens);
  const auto rank = static_cast<std::size_t>(layer.rank);
  const auto words = static_cast<std::size_t>(words_per_head(layer.tokens));
  std::vector<double> column(rank);
  std::vector<std::int32_t> selected(tokens, 0);
  double energy = 0;
  for (std::size_t t = 0; t < static_cast<std::size_t>(layer.heads); ++t) {
    std::fill(column.begin(), column.end(), 0.0);
    for (std::size_t i = 0; i < tokens; ++i) {
      if (!is_set(spins.subspan(t * words, words), static_cast<std::int64_t>(i))) continue;
      ++selected[i];
      const double* factors = layer.factors.data() + (t * tokens + i) * rank;
      // J_ij with every earlier selected j at once: their factors are summed up in `column`.
      for (std::size_t d = 0; d < rank; ++d) {
        energy -= layer.signs[t * rank + d] * factors[d] * column[d];
        column[d] += factors[d];
      }
      energy -= layer.rho * layer.fields[t * tokens + i];
    }
  }
  for (const std::int32_t heads : selected) energy += layer.lambda * (heads * (heads - 1) / 2);
  return energy;
}

double value_of(const ProblemFile& file, std::span<const std::uint64_t> spins) {
  if (file.kind == ProblemKind::qama) return energy_of(file.layer, spins);
  ExactSum value;
  value.add(file.offset);
  for (const Edge& edge : file.graph.edges) {
    const bool first = is_set(spins, edge.first);
    const bool second = is_set(spins, edge.second);
    switch (file.kind) {
      case ProblemKind::qubo:
        if (first && second) value.add(edge.weight);
        break;
      case ProblemKind::maxcut:
        if (first != second) value.add(edge.weight);
        break;
      case ProblemKind::ising:
        // A field is a coupling with a spin that is +1.
        value.add((edge.first == edge.second ? first : first == second) ? edge.weight
                                                                        : -edge.weight);
        break;
      case ProblemKind::qama:
        break;
    }
  }
  return value.result();
}

void Decode::fix(std::span<std::uint64_t> spins) const noexcept {
  if (fixed >= 0) {
    spins[static_cast<std::size_t>(fixed / 64)] &= ~(std::uint64_t{1} << (fixed % 64));
  }
}

void Decode::turn(const ProblemShape& shape, std::span<std::uint64_t> spins) const noexcept {
  if (fixed < 0 || !is_set(spins, fixed)) return;
  for_each_spin(shape,
                [&](std::size_t, std::size_t word, std::uint64_t bit) { spins[word] ^= bit; });
}

}  // namespace qama::hal
