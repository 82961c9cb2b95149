// What a coherent Ising machine takes, for all that prepare problems for one: hal/cim, hal/csv and
// hal/search. The emulator has its own numbers, of its configuration and of PROTOCOL.md.
#pragma once

#include <cstdint>

namespace qama::hal {

/// The CPQC-550's spins, ancillas included (Kaiwu SDK documentation).
inline constexpr std::int32_t kCimSpins = 550;
/// Steps of the strongest coupling, of either sign; -128 is not used.
inline constexpr std::int32_t kCimSteps = 127;

}  // namespace qama::hal
