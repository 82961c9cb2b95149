#include "hal/search/landscape.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <new>
#include <string>
#include <utility>

#include "hal/base/mantissa.h"
#include "hal/base/random.h"

namespace qama::hal {
namespace {

constexpr std::size_t kWidths[] = {1, 2, 4, 36};

/// A weighted pair before it has a shift: the file's weight times a small factor, which is exact.
struct Weighted {
  std::int32_t first = 0, second = 0;  ///< equal: linear
  double weight = 0;
  std::int32_t factor = 1;  ///< a power of two, or minus one
};

/// Calls visit(Weighted) for all terms of the energy to be minimised.
template <typename Visit>
void for_each_term(const ProblemFile& file, Visit&& visit) {
  const std::int32_t sign = file.maximises() ? -1 : 1;
  for (const Edge& edge : file.graph.edges) {
    const std::int32_t i = edge.first;
    const std::int32_t j = edge.second;
    switch (file.kind) {
      case ProblemKind::qubo:
        visit(Weighted{i, j, edge.weight, sign});
        break;
      case ProblemKind::maxcut:  // w [x_i != x_j] = w (x_i + x_j - 2 x_i x_j)
        visit(Weighted{i, i, edge.weight, sign});
        visit(Weighted{j, j, edge.weight, sign});
        visit(Weighted{i, j, edge.weight, -2 * sign});
        break;
      case ProblemKind::ising:  // s = 2 x - 1
        if (i == j) {
          visit(Weighted{i, i, edge.weight, 2 * sign});
        } else {
          visit(Weighted{i, j, edge.weight, 4 * sign});
          visit(Weighted{i, i, edge.weight, -2 * sign});
          visit(Weighted{j, j, edge.weight, -2 * sign});
        }
        break;
      case ProblemKind::qama:
        break;
    }
  }
  if (file.kind != ProblemKind::qama) return;
  const QamaLayer& layer = file.layer;
  const auto rank = static_cast<std::size_t>(layer.rank);
  for (std::int32_t t = 0; t < layer.heads; ++t) {
    const double* signs = layer.signs.data() + static_cast<std::size_t>(t) * rank;
    for (std::int32_t i = 0; i < layer.tokens; ++i) {
      const std::int32_t own = t * layer.tokens + i;
      const double* left = layer.factors.data() + static_cast<std::size_t>(own) * rank;
      visit(Weighted{own, own, layer.rho * layer.fields[static_cast<std::size_t>(own)], -1});
      for (std::int32_t j = i + 1; j < layer.tokens; ++j) {
        const double* right = left + static_cast<std::size_t>(j - i) * rank;
        double sum = 0;
        for (std::size_t d = 0; d < rank; ++d) sum += signs[d] * left[d] * right[d];
        visit(Weighted{own, own + j - i, sum, -1});
      }
      for (std::int32_t u = t + 1; u < layer.heads; ++u)
        visit(Weighted{own, u * layer.tokens + i, layer.lambda, 1});
    }
  }
}

}  // namespace

std::int64_t Landscape::terms_of(const ProblemFile& file) noexcept {
  return 2 * static_cast<std::int64_t>(file.graph.edges.size());
}

Result<Landscape> Landscape::of(const ProblemFile& file) {
  try {
    Landscape out;
    out.size_ = static_cast<std::int32_t>(file.shape().spins());
    const auto size = static_cast<std::size_t>(out.size_);
    out.first_.assign(size + 1, 0);
    // The smallest power of two, and a bound on all sums.
    int least = 1 << 20;
    int most = -(1 << 20);
    std::int64_t count = 0;
    std::size_t linear = 0;
    double sum = std::fabs(file.offset);
    for_each_term(file, [&](const Weighted& term) {
      sum += std::fabs(term.weight * term.factor);
      if (!std::isfinite(sum) || term.weight == 0) return;
      const auto [mantissa, exponent] = split(term.weight);
      least = std::min(least, exponent);
      most = std::max(most, std::ilogb(term.weight) + 3);
      ++count;
      if (term.first == term.second) {
        ++linear;
      } else {
        ++out.first_[static_cast<std::size_t>(term.first) + 1];
        ++out.first_[static_cast<std::size_t>(term.second) + 1];
      }
    });
    if (!std::isfinite(sum)) {
      return Error{ErrorCode::problem_bad_value, "the weights of a problem sum up to infinity"};
    }
    if (count == 0) least = most = 0;
    out.exponent_ = least;
    // A sum of `count` terms, twice for a difference of two energies, and a sign.
    const int bits =
        most - least + static_cast<int>(std::bit_width(static_cast<std::uint64_t>(count))) + 3;
    out.words_ = *std::find_if(std::begin(kWidths), std::end(kWidths) - 1, [&](std::size_t words) {
      return static_cast<int>(64 * words) > bits;
    });
    for (std::size_t i = 0; i < size; ++i) out.first_[i + 1] += out.first_[i];
    out.terms_.resize(static_cast<std::size_t>(out.first_[size]));
    out.linear_.reserve(linear);
    std::vector<std::int64_t> next(out.first_.begin(), out.first_.end() - 1);
    for_each_term(file, [&](const Weighted& term) {
      if (term.weight == 0) return;
      const auto [of_weight, exponent] = split(term.weight);
      const std::int32_t factor = std::abs(term.factor);
      const auto mantissa = term.factor < 0 ? -of_weight : of_weight;
      const std::int32_t shift = exponent - least + std::countr_zero(static_cast<unsigned>(factor));
      if (term.first == term.second) {
        out.linear_.push_back({mantissa, shift, term.first});
        return;
      }
      const auto put = [&](std::int32_t row, std::int32_t other) {
        out.terms_[static_cast<std::size_t>(next[static_cast<std::size_t>(row)]++)] = {
            mantissa, shift, other};
      };
      put(term.first, term.second);
      put(term.second, term.first);
    });
    return out;
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory,
                 "not enough memory for a problem's couplings in its own numbers"};
  }
}

namespace {

template <std::size_t N>
class ImproverOf final : public Improver {
 public:
  explicit ImproverOf(const Landscape& landscape)
      : landscape_(landscape),
        size_(landscape.size()),
        is_set_(static_cast<std::size_t>(size_)),
        cost_(static_cast<std::size_t>(size_)),
        free_from_(static_cast<std::size_t>(size_)) {}

  void improve(std::span<std::uint64_t> spins, std::uint64_t seed, std::int64_t steps,
               const Halt& halt) override {
    load(spins);
    descend(halt);
    best_set_ = is_set_;
    best_energy_ = energy_;
    if (steps > 0) search(seed, steps, halt);
    for (std::int32_t i = 0; i < size_; ++i) {
      const std::uint64_t bit = std::uint64_t{1} << (i % 64);
      std::uint64_t& word = spins[static_cast<std::size_t>(i / 64)];
      word = best_set_[static_cast<std::size_t>(i)] != 0 ? word | bit : word & ~bit;
    }
  }

  std::vector<std::uint64_t> energy() const override {
    return {best_energy_.words.begin(), best_energy_.words.end()};
  }

 private:
  using Number = Wide<N>;

  void load(std::span<const std::uint64_t> spins) {
    for (std::int32_t i = 0; i < size_; ++i) {
      is_set_[static_cast<std::size_t>(i)] =
          (spins[static_cast<std::size_t>(i / 64)] >> (i % 64)) & 1U;
    }
    std::fill(cost_.begin(), cost_.end(), Number{});
    energy_ = {};
    for (const Landscape::Term& term : landscape_.linear()) {
      cost_[static_cast<std::size_t>(term.other)].add({term.mantissa, term.shift});
      if (is_set_[static_cast<std::size_t>(term.other)] != 0)
        energy_.add({term.mantissa, term.shift});
    }
    for (std::int32_t i = 0; i < size_; ++i) {
      if (is_set_[static_cast<std::size_t>(i)] == 0) continue;
      for (const Landscape::Term& term : landscape_.row(i)) {
        cost_[static_cast<std::size_t>(term.other)].add({term.mantissa, term.shift});
        if (term.other < i && is_set_[static_cast<std::size_t>(term.other)] != 0)
          energy_.add({term.mantissa, term.shift});
      }
    }
    for (std::int32_t i = 0; i < size_; ++i) {
      if (is_set_[static_cast<std::size_t>(i)] != 0) cost_[static_cast<std::size_t>(i)].negate();
    }
  }

  void flip(std::int32_t i) {
    const auto k = static_cast<std::size_t>(i);
    energy_ += cost_[k];
    cost_[k].negate();
    is_set_[k] ^= 1U;
    for (const Landscape::Term& term : landscape_.row(i)) {
      const auto j = static_cast<std::size_t>(term.other);
      // A variable that differs from its neighbour pays the weight for flipping, an equal one is
      // spared it.
      const bool alike = is_set_[j] == is_set_[k];
      cost_[j].add({alike ? -term.mantissa : term.mantissa, term.shift});
    }
  }

  /// Flips of one variable, then of two that are coupled, until neither helps, whatever the time
  /// is: an answer has to be one that no flip betters. Two that are not coupled gain nothing
  /// together that one of them does not gain alone.
  void descend(const Halt& halt) {
    for (bool changed = true; changed && !halt.asked_to_stop();) {
      changed = false;
      for (std::int32_t i = 0; i < size_; ++i) {
        if (!cost_[static_cast<std::size_t>(i)].negative()) continue;
        flip(i);
        changed = true;
      }
      if (changed) continue;
      for (std::int32_t i = 0; i < size_; ++i) changed = flip_with_a_neighbour(i) || changed;
    }
  }

  bool flip_with_a_neighbour(std::int32_t i) {
    const std::span<const Landscape::Term> row = landscape_.row(i);
    const auto k = static_cast<std::size_t>(i);
    for (std::size_t at = 0; at < row.size();) {
      const std::int32_t other = row[at].other;
      const auto j = static_cast<std::size_t>(other);
      Number together = cost_[k] + cost_[j];
      const bool alike = is_set_[k] == is_set_[j];
      for (; at < row.size() && row[at].other == other; ++at)
        together.add({alike ? row[at].mantissa : -row[at].mantissa, row[at].shift});
      if (other < i || !together.negative()) continue;
      flip(i);
      flip(other);
      return true;
    }
    return false;
  }

  /// One-flip tabu search (Glover): the cheapest flip that is not forbidden is done, also uphill,
  /// and is forbidden for a while. Where nothing better comes for long, a disturbed copy of the
  /// best answer, or a random one, is the next start.
  void search(std::uint64_t seed, std::int64_t steps, const Halt& halt) {
    SplitMix64 random(seed);
    const std::int64_t tenure = std::min<std::int64_t>(20, size_ / 4);
    const std::uint64_t spread = 1 + static_cast<std::uint64_t>(std::min(10, size_ / 4));
    const std::int64_t patience = 4 * static_cast<std::int64_t>(size_) + 50;
    std::fill(free_from_.begin(), free_from_.end(), 0);
    std::int64_t in_vain = 0;
    Number round_best = energy_;
    for (std::int64_t step = 1; step <= steps; ++step) {
      if (step % 64 == 0 && halt.now()) break;
      if (in_vain >= patience) {
        disturb(random);
        in_vain = 0;
        round_best = energy_;
        std::fill(free_from_.begin(), free_from_.end(), 0);
      }
      std::int32_t chosen = -1;
      for (std::int32_t i = 0; i < size_; ++i) {
        const auto k = static_cast<std::size_t>(i);
        if (chosen >= 0 && !(cost_[k] < cost_[static_cast<std::size_t>(chosen)])) continue;
        if (free_from_[k] > step && !(energy_ + cost_[k] < best_energy_)) continue;
        chosen = i;
      }
      if (chosen < 0) {  // all are forbidden
        ++in_vain;
        continue;
      }
      flip(chosen);
      free_from_[static_cast<std::size_t>(chosen)] =
          step + 1 + tenure + static_cast<std::int64_t>(random.next() % spread);
      ++in_vain;
      if (energy_ < round_best) {
        round_best = energy_;
        in_vain = 0;
      }
      if (energy_ < best_energy_) keep();
    }
    // The last improvement may leave a pair to flip.
    restore_best();
    descend(halt);
    if (energy_ < best_energy_) keep();
  }

  void keep() {
    best_energy_ = energy_;
    best_set_ = is_set_;
  }

  void restore_best() {
    for (std::int32_t i = 0; i < size_; ++i) {
      if (is_set_[static_cast<std::size_t>(i)] != best_set_[static_cast<std::size_t>(i)]) flip(i);
    }
  }

  void disturb(SplitMix64& random) {
    restore_best();
    // An eighth to a half of all variables, and of small problems sometimes any state.
    const bool anywhere = size_ <= 64 && random.next() % 4 == 0;
    const std::uint64_t most = 1 + static_cast<std::uint64_t>(size_) / 2;
    const std::uint64_t count = 1 + random.next() % most;
    if (anywhere) {
      for (std::int32_t i = 0; i < size_; ++i) {
        if ((random.next() & 1U) != 0) flip(i);
      }
      return;
    }
    for (std::uint64_t k = 0; k < count; ++k)
      flip(static_cast<std::int32_t>(random.next() % static_cast<std::uint64_t>(size_)));
  }

  const Landscape& landscape_;
  const std::int32_t size_;
  std::vector<std::uint8_t> is_set_, best_set_;
  std::vector<Number> cost_;             ///< of flipping each variable
  std::vector<std::int64_t> free_from_;  ///< the step from which a flip is allowed again
  Number energy_, best_energy_;
};

}  // namespace

std::unique_ptr<Improver> make_improver(const Landscape& landscape) {
  return with_width(landscape, [&](auto width) -> std::unique_ptr<Improver> {
    return std::make_unique<ImproverOf<decltype(width)::value>>(landscape);
  });
}

bool is_lower(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
  for (std::size_t k = a.size(); k-- > 0;) {
    if (a[k] == b[k]) continue;
    if (k + 1 == a.size()) return static_cast<std::int64_t>(a[k]) < static_cast<std::int64_t>(b[k]);
    return a[k] < b[k];
  }
  return false;
}

}  // namespace qama::hal
