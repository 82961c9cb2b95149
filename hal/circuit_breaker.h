// Leaves a device alone that fails again and again; for whoever chooses between devices.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace qama::hal {

/// Thread-safe.
class CircuitBreaker {
 public:
  using Clock = std::chrono::steady_clock;

  /// After `failures_to_open` failures in a row there is a pause of `cool_down_us`. Then one job
  /// tries the device. Each further failure doubles the pause, up to kLongestPause of them.
  CircuitBreaker(std::int32_t failures_to_open, std::int64_t cool_down_us)
      : failures_to_open_(failures_to_open), cool_down_us_(cool_down_us) {}
  /// Whether a job may go to the device; after a pause one may, whose end decides.
  bool admits() {
    const std::lock_guard lock(mutex_);
    if (failures_ < failures_to_open_) return true;
    if (Clock::now() < closed_until_) return false;
    closed_until_ = Clock::now() + pause_;
    return true;
  }
  /// Whether the device is left alone now, or only tried.
  bool is_open() {
    const std::lock_guard lock(mutex_);
    return failures_ >= failures_to_open_;
  }
  void succeeded() {
    const std::lock_guard lock(mutex_);
    failures_ = 0;
    pause_ = std::chrono::microseconds(cool_down_us_);
  }
  /// A job that was submitted at `submitted` failed. Those that were in flight when the circuit
  /// opened say nothing new; only the one that tried the device again lengthens the pause.
  void failed(Clock::time_point submitted) {
    const std::lock_guard lock(mutex_);
    if (failures_ < failures_to_open_) {
      if (++failures_ < failures_to_open_) return;
      opened_ = Clock::now();
      pause_ = std::chrono::microseconds(cool_down_us_);
    } else if (submitted < opened_) {
      return;
    } else {
      pause_ = std::min(2 * pause_, std::chrono::microseconds(kLongestPause * cool_down_us_));
    }
    closed_until_ = Clock::now() + pause_;
  }

 private:
  static constexpr std::int64_t kLongestPause = 100;  // times cool_down_us

  const std::int32_t failures_to_open_;
  const std::int64_t cool_down_us_;
  std::mutex mutex_;
  std::int32_t failures_ = 0;
  std::chrono::microseconds pause_{0};
  Clock::time_point closed_until_{}, opened_{};
};

}  // namespace qama::hal
