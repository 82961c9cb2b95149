// The emulator's clock: wall time. Device time is nanoseconds of the model (machine.h).
#pragma once

#include <chrono>

namespace qama::emulator {

using Clock = std::chrono::steady_clock;

}  // namespace qama::emulator
