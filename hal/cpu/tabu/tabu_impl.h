// The fast version of tabu.h, a template over xsimd's architectures, included by
// isa/tabu_<target>.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <xsimd/xsimd.hpp>

#include "hal/cpu/tabu/tabu.h"

namespace qama::hal::cpu {
namespace {

template <class Arch>
class TabuPick {
  using Batch = xsimd::batch<double, Arch>;
  static_assert(kTabuBlock % Batch::size == 0);
  static constexpr std::int32_t kWidth = static_cast<std::int32_t>(Batch::size);

 public:
  explicit TabuPick(const TabuMoves& moves)
      : moves_(moves), step_(moves.step), aspired_(moves.aspired) {}

  std::int32_t run() const {
    const Batch infinity(std::numeric_limits<double>::infinity());
    Batch least = infinity;
    for (std::int32_t i = 0; i < moves_.count; i += kWidth) {
      const Batch cost = cost_of_allowed(i);
      least = xsimd::select(cost < least, cost, least);
    }
    alignas(64) std::array<double, Batch::size> lanes;
    least.store_aligned(lanes.data());
    const double lowest = *std::min_element(lanes.begin(), lanes.end());
    if (!(lowest < std::numeric_limits<double>::infinity())) return -1;
    const std::int32_t found = find(moves_.from, moves_.count, lowest);
    return found >= 0 ? found : find(0, moves_.from, lowest);
  }

 private:
  Batch cost_of_allowed(std::int32_t i) const {
    const Batch cost =
        Batch::load_aligned(moves_.fields + i) * Batch::load_aligned(moves_.signs + i);
    const auto allowed = (Batch::load_aligned(moves_.free_from + i) <= step_) | (cost < aspired_);
    return xsimd::select(allowed, cost, Batch(std::numeric_limits<double>::infinity()));
  }
  std::int32_t find(std::int32_t first, std::int32_t end, double lowest) const {
    for (std::int32_t i = first; i < end; i += kWidth) {
      const Batch cost = cost_of_allowed(i);
      if (!xsimd::any(cost == Batch(lowest))) continue;
      alignas(64) std::array<double, Batch::size> lanes;
      cost.store_aligned(lanes.data());
      const auto lane = std::find(lanes.begin(), lanes.end(), lowest) - lanes.begin();
      return i + static_cast<std::int32_t>(lane);
    }
    return -1;
  }

  const TabuMoves& moves_;
  const Batch step_, aspired_;
};

template <class Arch>
void tabu_add_row(double* fields, const double* row, double change, std::int32_t count) {
  using Batch = xsimd::batch<double, Arch>;
  const Batch factor(change);
  // The product is exact, so it does not matter whether a compiler contracts it.
  for (std::int32_t i = 0; i < count; i += static_cast<std::int32_t>(Batch::size)) {
    (Batch::load_aligned(fields + i) + factor * Batch::load_aligned(row + i))
        .store_aligned(fields + i);
  }
}

}  // namespace
}  // namespace qama::hal::cpu

/// Makes the loops of one instruction set, in isa/tabu_NAME.cpp, inside qama::hal::cpu.
#define QAMA_TABU(NAME, ARCHITECTURE)                                                         \
  std::int32_t pick_##NAME(const TabuMoves& moves) {                                          \
    return TabuPick<ARCHITECTURE>(moves).run();                                               \
  }                                                                                           \
  void add_row_##NAME(double* fields, const double* row, double change, std::int32_t count) { \
    tabu_add_row<ARCHITECTURE>(fields, row, change, count);                                   \
  }
