// Time on the host's side of a machine: one clock, one unit for reports, random waits.
#pragma once

#include <chrono>
#include <cstdint>

namespace qama::hal::cim {

using LinkClock = std::chrono::steady_clock;
using TimePoint = LinkClock::time_point;

/// To connect and to get the first reply.
inline constexpr auto kConnectTime = std::chrono::milliseconds(1000);

/// Microseconds from one moment to a later one.
[[nodiscard]] inline double us_between(TimePoint from, TimePoint to) noexcept {
  return std::chrono::duration<double, std::micro>(to - from).count();
}

/// Random parts of a wait, so that clients do not retry in step.
class Jitter {
 public:
  explicit Jitter(std::uint32_t seed) noexcept : state_(seed) {}
  /// From 0 to below `limit`.
  [[nodiscard]] std::chrono::microseconds below(std::chrono::microseconds limit) noexcept {
    state_ = state_ * 1664525U + 1013904223U;
    return limit * (state_ >> 16) / 65536;
  }

 private:
  std::uint32_t state_;
};

}  // namespace qama::hal::cim
