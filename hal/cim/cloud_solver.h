// A device's work on one layer shape through the vendor's cloud. A job takes seconds to minutes, so
// every slot has a thread of its own, which asks for it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "hal/cim/cloud_job.h"
#include "hal/cim/quantise.h"
#include "hal/cim/vendor_samples.h"
#include "hal/device.h"
#include "hal/platform/thread.h"

namespace qama::hal::cim {

/// What a device shares with its solvers.
struct CloudAccess {
  explicit CloudAccess(CloudOptions o) : options(std::move(o)), account(options) {}
  const CloudOptions options;
  CloudAccount account;
  bool emulated = false;  ///< what the first login says
};

/// A job that a worker has. The worker keeps it until it is done with it, also when nobody waits
/// any more.
struct CloudJob {
  CloudOrder order;
  bool cancelled = false;  // these three: with the worker's mutex
  bool done = false;
  Result<CloudAnswer> answer = CloudAnswer{};
};

/// A thread with a connection, and a letter box for one job.
class CloudWorker {
 public:
  explicit CloudWorker(std::shared_ptr<CloudAccess> access)
      : access_(std::move(access)), caller_(access_->options, access_->account) {}
  ~CloudWorker();
  /// OUT_OF_MEMORY if the system gives no thread.
  Status start();
  void give(std::shared_ptr<CloudJob> job);
  void cancel(CloudJob& job) noexcept;
  enum class State : std::uint8_t { waiting, cancelled, done };
  /// Until it is done or cancelled, or until then.
  State wait_for(const CloudJob& job, TimePoint until);

 private:
  void work();

  const std::shared_ptr<CloudAccess> access_;
  CloudCaller caller_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<CloudJob> letter_, at_hand_;
  bool ending_ = false;
  platform::Thread thread_;  // the last member: its destructor waits
};

class CloudSolver final : public Solver {
 public:
  explicit CloudSolver(std::shared_ptr<CloudAccess> access) : access_(std::move(access)) {}
  /// Makes all memory and threads.
  Status prepare(const ProblemShape& shape);

  std::int32_t max_in_flight() const noexcept override {
    return static_cast<std::int32_t>(slots_.size());
  }
  Status submit(std::int32_t slot, const Problem& any, const SolveOptions& options) override;
  bool wait_ready(std::int32_t slot, std::int64_t timeout_us) override;
  Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) override;
  void cancel(std::int32_t slot) noexcept override;

 private:
  struct Slot {
    explicit Slot(const std::shared_ptr<CloudAccess>& access) : worker(access) {}
    Quantiser quantiser;
    DenseView problem;
    SolveTiming timing;
    TimePoint start;
    std::shared_ptr<CloudJob> job;  // null: the slot is free
    CloudWorker worker;
  };
  [[nodiscard]] Slot* busy_at(std::int32_t slot) noexcept;
  Status finish(Slot& slot, CloudJob& job, std::span<std::uint64_t> spins, SolveResult& result);

  const std::shared_ptr<CloudAccess> access_;
  ProblemShape shape_;
  SamplePicker picker_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace qama::hal::cim
