#include "hal/lower/decode.h"

#include <algorithm>
#include <cmath>

namespace qama::hal {
namespace {

bool is_set(std::span<const std::uint64_t> spins, std::int64_t bit) {
  return ((spins[static_cast<std::size_t>(bit / 64)] >> (bit % 64)) & 1U) != 0;
}

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
  double value = 0;
  switch (file.kind) {
    case ProblemKind::qama:
      return energy_of(file.layer, spins);
    case ProblemKind::qubo:
      for (const Edge& edge : file.graph.edges) {
        if (is_set(spins, edge.first) && is_set(spins, edge.second)) value += edge.weight;
      }
      return value;
    case ProblemKind::maxcut:
      for (const Edge& edge : file.graph.edges) {
        if (is_set(spins, edge.first) != is_set(spins, edge.second)) value += edge.weight;
      }
      return value;
  }
  return value;
}

double Decode::read(const ProblemFile& file, std::span<std::uint64_t> spins) const {
  if (fixed >= 0) {
    spins[static_cast<std::size_t>(fixed / 64)] &= ~(std::uint64_t{1} << (fixed % 64));
  }
  return value_of(file, spins);
}

}  // namespace qama::hal
