// The steady clock, and times as the rest of the project has them: microseconds in double.
#pragma once

#include <chrono>

namespace qama::platform {

using Clock = std::chrono::steady_clock;

/// Microseconds from `start` until now.
[[nodiscard]] inline double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

}  // namespace qama::platform
