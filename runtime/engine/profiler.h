// Profiler: where a run's time went, step by step and sample by sample. All memory is taken when it
// is made; while a run fills it nothing is allocated, so it may stay on in production. Percentiles
// and formats (CSV, trace) are the program's business.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/engine/plan.h"

namespace qama::runtime {

/// Nanoseconds of a steady clock.
struct StepTime {
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;
};

/// Times of the last run. One session at a time.
class Profiler {
 public:
  explicit Profiler(const Plan& plan)
      : steps_(plan.steps().size()),
        times_(steps_ * static_cast<std::size_t>(plan.options().max_batch)),
        workers_(static_cast<std::size_t>(plan.options().max_batch)) {}

  [[nodiscard]] std::size_t steps() const noexcept { return steps_; }
  /// One entry a step of the plan. Precondition: sample < the plan's max_batch.
  [[nodiscard]] std::span<StepTime> row(std::int32_t sample) noexcept {
    return {times_.data() + static_cast<std::size_t>(sample) * steps_, steps_};
  }
  [[nodiscard]] std::span<const StepTime> row(std::int32_t sample) const noexcept {
    return {times_.data() + static_cast<std::size_t>(sample) * steps_, steps_};
  }
  /// Which worker took the sample.
  [[nodiscard]] std::int32_t& worker(std::int32_t sample) noexcept {
    return workers_[static_cast<std::size_t>(sample)];
  }
  [[nodiscard]] std::int32_t worker(std::int32_t sample) const noexcept {
    return workers_[static_cast<std::size_t>(sample)];
  }

 private:
  std::size_t steps_;
  std::vector<StepTime> times_;
  std::vector<std::int32_t> workers_;
};

}  // namespace qama::runtime
