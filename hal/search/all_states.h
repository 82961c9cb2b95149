// All states of a small landscape, each with its exact energy; the best of them, which is proved
// so.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "hal/search/landscape.h"
#include "hal/search/wide.h"

namespace qama::hal {

/// The most variables whose states are all tried.
inline constexpr std::int32_t kMaxTried = 24;

/// Calls visit(step, state, energy) for the states of a landscape of at most kMaxTried variables,
/// where bit i of `state` is variable i: for step 0, where nothing is set and the energy is 0, and
/// on in the order of a Gray code. Returns how many were visited before `halt`; 2^size is all.
/// Throws std::bad_alloc.
template <std::size_t N, typename Visit>
std::uint64_t for_each_state(const Landscape& landscape, const Halt& halt, Visit&& visit) {
  // Steps between two looks at the clock.
  constexpr std::uint64_t kPatience = 1 << 12;
  // When a Gray code flips variable a, those below it are 0 but for a - 1, which is 1. So a flip
  // needs to tell the variables below it only, and those are few on average.
  using Row = std::array<Wide<N>, kMaxTried>;
  const auto size = static_cast<std::size_t>(landscape.size());
  const auto gain = std::make_unique<Row>();  // of setting a variable, by those above it
  const auto pairs = std::make_unique<std::array<Row, kMaxTried>>();
  for (const Landscape::Term& term : landscape.linear())
    (*gain)[static_cast<std::size_t>(term.other)].add({term.mantissa, term.shift});
  for (std::size_t i = 0; i < size; ++i) {
    for (const Landscape::Term& term : landscape.row(static_cast<std::int32_t>(i)))
      (*pairs)[i][static_cast<std::size_t>(term.other)].add({term.mantissa, term.shift});
  }
  Wide<N> energy;
  std::uint32_t state = 0;
  visit(std::uint64_t{0}, state, energy);
  const std::uint64_t states = std::uint64_t{1} << size;
  std::uint64_t step = 1;
  for (; step < states; ++step) {
    if (step % kPatience == 0 && halt.now()) break;
    const auto a = static_cast<std::size_t>(std::countr_zero(step));
    const bool sets = ((state >> a) & 1U) == 0;
    Wide<N> change = (*gain)[a];
    if (a > 0) change += (*pairs)[a][a - 1];
    if (!sets) change.negate();
    energy += change;
    state ^= std::uint32_t{1} << a;
    for (std::size_t b = 0; b < a; ++b) {
      Wide<N> pair = (*pairs)[a][b];
      if (!sets) pair.negate();
      (*gain)[b] += pair;
    }
    visit(step, state, energy);
  }
  return step;
}

/// The best of all states of at most kMaxTried variables.
struct Exhaustive {
  /// The best first; bit i is variable i; of equals the first in Gray-code order.
  std::vector<std::uint32_t> lowest;
  std::int64_t states = 0;  ///< that were tried
  bool complete = false;    ///< all of them
};
/// `most`: states that are kept, at least one.
[[nodiscard]] Exhaustive try_all(const Landscape& landscape, const Halt& halt,
                                 std::size_t most = 1);

}  // namespace qama::hal
