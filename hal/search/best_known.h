// The one definition of a best known energy: what `qama tune`, the benches and the reports of gaps
// measure answers against.
//
// Problems of at most kExactSpins spins are solved by exhaustive search. All others by long runs of
// different kinds: many sweeps from hot, many sweeps from cool, and many short restarts followed by
// rounds. All kinds are repeated with new seeds until two repetitions in a row find nothing lower.
// Such an energy is not proven; a caller that sees a lower one keeps that.
#pragma once

#include <cstdint>
#include <vector>

#include "hal/device.h"

namespace qama::hal {

inline constexpr std::int64_t kExactSpins = 24;

struct BestKnown {
  std::int64_t energy = 0;
  std::vector<std::uint64_t> spins;  ///< [heads][words_per_head]
  bool proven = false;
};

/// The device's errors. The same problem, device and seed: the same energy.
[[nodiscard]] Result<BestKnown> best_known(Device& device, const DenseView& problem,
                                           std::uint64_t seed = 1);

/// Whether an energy is within a share of the best known one: 0.001 for 0.1 %.
[[nodiscard]] bool is_within(double energy, double best, double gap) noexcept;

}  // namespace qama::hal
