// A job's way through the vendor's terminal: upload, submit, poll, fetch, remove. Seconds a job,
// one at a time, no retry: an error goes to the fall-back.
#pragma once

#include <string>
#include <vector>

#include "hal/cim/quantise.h"
#include "hal/cim/vendor_samples.h"
#include "hal/cim/vendor_terminal.h"
#include "hal/device.h"

namespace qama::hal::cim {

class VendorSolver final : public Solver {
 public:
  VendorSolver(const VendorOptions& options, bool emulated);
  /// Makes all memory and logs in.
  Status prepare(const ProblemShape& shape);

  /// Returns once the terminal has the task.
  Status submit(std::int32_t slot, const Problem& any, const SolveOptions& options) override;
  Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) override;
  void cancel(std::int32_t) noexcept override { terminal_.stop(); }

 private:
  Status await_task();
  Result<bool> read(const TaskStatus& task);
  Status finish(std::span<std::uint64_t> spins, SolveResult& result);

  const VendorOptions options_;
  const bool emulated_;
  Terminal terminal_;
  Quantiser quantiser_;
  SamplePicker picker_;
  ProblemShape shape_;
  std::vector<std::int8_t> matrix_;

  // The job.
  bool pending_ = false;
  DenseView problem_;
  std::string task_name_;
  std::int64_t task_id_ = 0;
  TimePoint start_, deadline_;
  SolveTiming timing_;
};

}  // namespace qama::hal::cim
