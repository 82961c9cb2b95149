// A device's work on one workload: jobs are submitted and waited for. A synchronous device solves
// in submit().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/base/result.h"
#include "hal/problem.h"
#include "hal/schedule.h"

namespace qama::hal {

/// Holds all scratch memory, so that submit() and wait() do not allocate. One thread at a time;
/// make one Solver a thread (the Device is shared).
class Solver {
 public:
  virtual ~Solver() = default;

  /// Jobs that may be in flight: slots are 0 .. max_in_flight() - 1.
  [[nodiscard]] virtual std::int32_t max_in_flight() const noexcept { return 1; }

  /// Starts a job in a free slot. What `problem` views must stay unchanged until wait() returned;
  /// the variant itself is copied. INVALID_ARGUMENT for a problem that is not of the compiled
  /// workload and for a schedule out of bounds; the device's errors. Only the dense form knows
  /// rounds: sparse refuses them, factors does without.
  virtual Status submit(std::int32_t slot, const Problem& problem, const SolveOptions& options) = 0;

  /// Waits for the slot's job; fills `spins` ([heads][words_per_head(problem's tokens)]) and
  /// `result`. The slot is free afterwards, also on error. A failed job is an error value; later
  /// jobs go on.
  virtual Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) = 0;

  /// Whether wait() on the slot would return without waiting for the device; gives it up to
  /// `timeout_us` to get there. A synchronous device is always ready.
  virtual bool wait_ready(std::int32_t slot, std::int64_t timeout_us) {
    (void)slot;
    (void)timeout_us;
    return true;
  }

  /// Asks for the slot's job to be dropped; wait() then returns CANCELLED (or the result, if it was
  /// faster). May be called while another thread is in wait().
  virtual void cancel(std::int32_t slot) noexcept { (void)slot; }

  /// Bytes of scratch that the solver holds; 0 where a device does not say.
  [[nodiscard]] virtual std::size_t memory_bytes() const noexcept { return 0; }

  /// submit and wait in one, slot 0.
  Status solve(const Problem& problem, const SolveOptions& options, std::span<std::uint64_t> spins,
               SolveResult& result) {
    QAMA_RETURN_IF_ERROR(submit(0, problem, options));
    return wait(0, spins, result);
  }
};

}  // namespace qama::hal
