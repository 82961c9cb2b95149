// Fall-back between devices: a Device made of two, so that whoever solves needs to know nothing of
// it. The first is asked, its answer is checked, and what happens when it fails or is late is a
// policy; every SolveResult says who solved it and why. To add a policy: an enumerator, its name, a
// branch in FallbackSolver::wait.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "hal/device.h"

namespace qama::hal {

enum class FallbackPolicy : std::uint8_t {
  never,     ///< the first device's error is the job's error
  error,     ///< a failed job is solved by the second device
  deadline,  ///< the same, and the first device is given up in time for the second to keep the
             ///< deadline
  hedge  ///< the same, and when the first device is late the second starts; the first answer counts
};
/// "never", "error", "deadline", "hedge".
[[nodiscard]] std::string_view fallback_policy_name(FallbackPolicy policy) noexcept;
/// INVALID_ARGUMENT for any other text.
[[nodiscard]] Result<FallbackPolicy> parse_fallback_policy(std::string_view text);

struct FallbackOptions {
  FallbackPolicy policy = FallbackPolicy::error;
  /// hedge: how late is late; 0: twice the mean time of the first device's answers so far.
  std::int64_t hedge_after_us = 0;
  /// Circuit breaker: so many failures in a row and the first device is left alone for
  /// `cool_down_us`; then one job tries it again, and every further failure doubles the pause up to
  /// a hundredfold.
  std::int32_t failures_to_open = 5;
  std::int64_t cool_down_us = 100'000;
};

/// Counts of a device with a fall-back over all its solvers.
struct FallbackCounts {
  std::int64_t solved_by_first = 0, solved_by_second = 0, failed = 0;
  std::int64_t reasons[6] = {};  ///< by FallbackReason
};

/// `first` with `second` (normally the CPU) behind it. Its info() is first's. supports() is
/// first's, but with a policy other than never a shape that only second supports is solved there
/// (FallbackReason::unsupported). INVALID_ARGUMENT for options out of range.
[[nodiscard]] Result<std::shared_ptr<Device>> with_fallback(std::shared_ptr<Device> first,
                                                            std::shared_ptr<Device> second,
                                                            const FallbackOptions& options);

/// The device that is asked first, of one that with_fallback() made; null for another.
[[nodiscard]] const Device* first_of(const Device& device) noexcept;

/// Of a device that with_fallback() made; all zero for another.
[[nodiscard]] FallbackCounts fallback_counts(const Device& device);

}  // namespace qama::hal
