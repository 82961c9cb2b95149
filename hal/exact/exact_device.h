// Exhaustive search, for proof: every other device is checked against it on small problems.
#pragma once

#include <memory>

#include "hal/device.h"

namespace qama::hal::exact {

/// Most spins that are searched: 2^24 states by Gray code take about a tenth of a second.
inline constexpr std::int64_t kMaxExactSpins = 24;

[[nodiscard]] std::shared_ptr<Device> open_exact_device();

}  // namespace qama::hal::exact
