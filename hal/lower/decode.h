// The way back: what the spins that a device answered are worth in the file's own terms. A lowering
// (lower.h) returns its Decode, so that no caller knows about fixed vertices, signs or scales.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/text/problem_file.h"

namespace qama::hal {

/// E(s) of a layer, in double straight from the factors; O(H N D). Spins: [heads][words_per_head],
/// as in problem.h.
[[nodiscard]] double energy_of(const QamaLayer& layer, std::span<const std::uint64_t> spins);

/// What a file's problem minimises or maximises, from its own numbers: a layer's energy in double;
/// a quadratic form's or an Ising problem's value or the weight of a cut, with its offset, as the
/// double nearest to the exact sum.
[[nodiscard]] double value_of(const ProblemFile& file, std::span<const std::uint64_t> spins);

/// Calls visit(variable, word, bit) for every variable t N + i of an answer, in this order: the
/// spin i of head t is `bit` of word number `word`.
template <typename Visit>
void for_each_spin(const ProblemShape& shape, Visit&& visit) {
  const auto words = static_cast<std::size_t>(words_per_head(shape.tokens));
  std::size_t at = 0;
  for (std::size_t t = 0; t < static_cast<std::size_t>(shape.heads); ++t) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(shape.tokens); ++i) {
      visit(at++, t * words + i / 64, std::uint64_t{1} << (i % 64));
    }
  }
}

struct Decode {
  bool larger_is_better = false;
  bool exact = false;  ///< every weight is represented without rounding, at scale 1
  /// A max-cut's vertex that was fixed to side 0, which costs nothing as both sides may be swapped,
  /// and which turns its edges into fields; -1: none (qubo; a complete graph of two weights, which
  /// it would give a third). A device's spin of it means nothing.
  std::int32_t fixed = -1;

  /// Turns a device's spins into an answer to the file's problem.
  void fix(std::span<std::uint64_t> spins) const noexcept;

  /// The opposite: an answer with the fixed vertex on side 0.
  void turn(const ProblemShape& shape, std::span<std::uint64_t> spins) const noexcept;

  [[nodiscard]] bool maximises() const noexcept { return larger_is_better; }
  /// Whether value `a` is better than `b`.
  [[nodiscard]] bool better(double a, double b) const noexcept {
    return maximises() ? a > b : a < b;
  }
};

}  // namespace qama::hal
