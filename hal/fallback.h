// Fall-back: a Device made of two devices. Callers use it like any other device. The first device
// is asked, and its answer is checked. The policy says what happens when it fails or is late. Every
// SolveResult says who solved it and why. To add a policy: an enumerator, its name, a branch in
// FallbackSolver::wait.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "hal/device.h"

namespace qama::hal {

enum class FallbackPolicy : std::uint8_t {
  never,     ///< the first device's error is the job's error
  error,     ///< a failed job is solved by the second device
  deadline,  ///< the same; the first device is given up early enough for the second to keep the
             ///< deadline
  hedge  ///< the same; the second device starts when the first is late, the earlier answer counts
};
/// "never", "error", "deadline", "hedge".
[[nodiscard]] std::string_view fallback_policy_name(FallbackPolicy policy) noexcept;
/// INVALID_ARGUMENT for any other text.
[[nodiscard]] Result<FallbackPolicy> parse_fallback_policy(std::string_view text);

struct FallbackOptions {
  FallbackPolicy policy = FallbackPolicy::error;
  /// hedge: how late is late; 0: twice the mean time of the first device's answers so far.
  std::int64_t hedge_after_us = 0;
  /// Circuit breaker: after this many failures in a row the first device gets no job for
  /// `cool_down_us`. Then one job tries it. Each further failure doubles the pause, up to a
  /// hundred times `cool_down_us`.
  std::int32_t failures_to_open = 5;
  std::int64_t cool_down_us = 100'000;
};

/// Counts of a device with a fall-back over all its solvers.
struct FallbackCounts {
  std::int64_t solved_by_first = 0, solved_by_second = 0, failed = 0;
  std::int64_t reasons[6] = {};  ///< by FallbackReason
};

/// `first` with `second` (normally the CPU) behind it. Its info() is that of `first`. It supports
/// what `first` supports. With every policy but never it also supports what only `second` does, and
/// solves it there (FallbackReason::unsupported). INVALID_ARGUMENT for options out of range.
[[nodiscard]] Result<std::shared_ptr<Device>> with_fallback(std::shared_ptr<Device> first,
                                                            std::shared_ptr<Device> second,
                                                            const FallbackOptions& options);

/// The first device of a device that with_fallback() made; null for any other.
[[nodiscard]] const Device* first_of(const Device& device) noexcept;

/// The counts of a device that with_fallback() made; all zero for any other.
[[nodiscard]] FallbackCounts fallback_counts(const Device& device);

}  // namespace qama::hal
