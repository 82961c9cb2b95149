// The CPU device's solvers, one file a form of problem (dense/solver.cpp, factors/solver.cpp,
// sparse/solver.cpp), and what they share: options, deadlines, names. Private to hal/cpu.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "hal/base/aligned.h"
#include "hal/cpu/kernel.h"
#include "hal/device.h"
#include "hal/platform/clock.h"

namespace qama::hal::cpu {

/// What SolveResult::solved_by says, in static storage: "cpu:avx512" for the dense form,
/// "cpu:avx512 planes" and so on for the others.
[[nodiscard]] const char* solved_by(const Kernel& kernel, Form form);

/// Everything is allocated here; `workload` has been checked. The dense solver also takes
/// Form::planes and then refuses what bit planes cannot hold.
[[nodiscard]] std::unique_ptr<Solver> make_dense_solver(const Kernel& kernel,
                                                        const Workload& workload);
[[nodiscard]] std::unique_ptr<Solver> make_factors_solver(const Kernel& kernel,
                                                          const Workload& workload);
[[nodiscard]] std::unique_ptr<Solver> make_sparse_solver(const Kernel& kernel,
                                                         const Workload& workload);

using platform::Clock;
using platform::microseconds_since;

/// What the solvers share: the CPU holds one job and solves it in submit().
class CpuSolver : public Solver {
 public:
  Status submit(std::int32_t slot, const Problem& problem, const SolveOptions& options) final;
  Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) final;
  /// Ends the job that another thread is in, as its deadline would, if it has one. Its answer
  /// counts.
  void cancel(std::int32_t /*slot*/) noexcept final { cancelled_ = true; }

 protected:
  CpuSolver(const Kernel& kernel, const Workload& workload);
  /// Solves a problem of the workload with a valid schedule. Fills answer() and `result` but for
  /// its timing.
  virtual Status anneal(const Problem& problem, const SolveOptions& options,
                        Clock::time_point start, SolveResult& result) = 0;
  /// [heads][words_per_head(the problem's tokens)] of the best answer.
  [[nodiscard]] std::uint64_t* answer() noexcept { return answer_.data(); }
  [[nodiscard]] std::size_t answer_bytes() const noexcept {
    return answer_.size() * sizeof(std::uint64_t);
  }

  const Kernel& kernel_;
  const Workload workload_;
  std::atomic<bool> cancelled_ = false;  ///< since the job began

 private:
  AlignedBuffer<std::uint64_t> answer_;
  SolveResult result_;
  std::size_t answer_words_ = 0;
  bool pending_ = false;
};

/// A number of sweeps as SolveResult has it.
inline std::int32_t counted(std::int64_t sweeps) {
  return static_cast<std::int32_t>(std::min<std::int64_t>(sweeps, INT32_MAX));
}

/// A deadline from here on (36 years) is none: the job may be cancelled, but nobody reads the
/// clock.
inline constexpr std::int64_t kNoLimitUs = std::int64_t{1} << 50;

/// Watches a job's deadline, and whether it is cancelled, if it has a deadline. A kernel asks
/// before every sweep; the sweeps end while there is still time for the final descent, which is
/// taken to last as long as kSweepsOfDescent of them.
class Deadline {
 public:
  Deadline(Clock::time_point start, std::int64_t deadline_us, const std::atomic<bool>& cancelled)
      : start_(start), limit_us_(deadline_us), cancelled_(cancelled) {}
  [[nodiscard]] bool given() const { return limit_us_ > 0; }
  void start_group() {
    if (!given()) return;  // the clock is read for deadlines only
    group_us_ = microseconds_since(start_);
    asked_ = 0;
  }
  /// Whether another group of restarts would be too late, after one that took as long as the last.
  [[nodiscard]] bool no_time_for_another() const {
    if (!given()) return false;
    if (cancelled_ || limit_us_ >= kNoLimitUs) return cancelled_;
    const double now = microseconds_since(start_);
    return now + (now - group_us_) > static_cast<double>(limit_us_);
  }
  static bool stop(void* context) {
    auto& self = *static_cast<Deadline*>(context);
    if (self.cancelled_.load(std::memory_order_relaxed)) return true;
    if (self.limit_us_ >= kNoLimitUs) return false;
    const double now = microseconds_since(self.start_);
    const double sweep =
        self.asked_ > 0 ? (now - self.group_us_) / static_cast<double>(self.asked_) : 0.0;
    ++self.asked_;
    return now + kSweepsOfDescent * sweep > static_cast<double>(self.limit_us_);
  }

 private:
  static constexpr double kSweepsOfDescent = 8;
  const Clock::time_point start_;
  const std::int64_t limit_us_;
  const std::atomic<bool>& cancelled_;
  double group_us_ = 0;
  std::int64_t asked_ = 0;
};

/// The restarts that `options` ask for, without their problem; both other arguments must outlive
/// the job.
inline AnnealJob job_of(const SolveOptions& options, const std::uint16_t* temperatures,
                        Deadline& deadline) {
  AnnealJob job;
  job.temperatures = temperatures;
  job.sweeps = options.schedule.sweeps;
  job.seed = options.seed;
  job.start = options.schedule.start;
  if (deadline.given()) {
    job.stop = Deadline::stop;
    job.context = &deadline;
  }
  return job;
}

}  // namespace qama::hal::cpu
