#include "hal/reopen.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "hal/fallback.h"
#include "hal/platform/thread.h"

namespace qama::hal {
namespace {

using std::chrono::milliseconds;

constexpr auto kFirstPause = milliseconds(50);
constexpr auto kLongestPause = milliseconds(2000);

bool may_mend(ErrorCode code) noexcept {
  return code == ErrorCode::device_unavailable || code == ErrorCode::device_lost ||
         code == ErrorCode::device_busy || code == ErrorCode::deadline_exceeded;
}

/// What the stand-in and its solvers share: the device, once it is there. Thread-safe.
class Opening {
 public:
  Opening(std::string uri, Error error) : uri_(std::move(uri)), error_(std::move(error)) {}
  /// Once. OUT_OF_MEMORY if the system gives no thread.
  Status start() {
    return thread_.start([this] { try_again(); });
  }
  ~Opening() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
  }
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

  /// Null while it was not reached.
  std::shared_ptr<Device> device() {
    const std::lock_guard lock(mutex_);
    return device_;
  }
  Error error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  Result<std::shared_ptr<Device>> open_once() {
    try {
      return open_device(uri_);
    } catch (const std::bad_alloc&) {
      return Error{ErrorCode::out_of_memory, {}};
    }
  }
  void try_again() {
    std::chrono::milliseconds pause = kFirstPause;
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, pause, [this] { return ending_; })) {
      lock.unlock();
      auto opened = open_once();
      lock.lock();
      if (opened.ok()) {
        device_ = std::move(opened).value();
        return;
      }
      error_ = std::move(opened).error();
      if (!may_mend(error_.code) && error_.code != ErrorCode::out_of_memory) return;
      pause = std::min<milliseconds>(2 * pause, kLongestPause);
    }
  }

  const std::string uri_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::shared_ptr<Device> device_;
  Error error_;
  bool ending_ = false;
  platform::Thread thread_;  ///< the last member: its destructor waits
};

class StandInSolver final : public Solver {
 public:
  StandInSolver(std::shared_ptr<Opening> opening, const Workload& workload, std::int32_t slots)
      : opening_(std::move(opening)), workload_(workload), slots_(slots) {}

  std::int32_t max_in_flight() const noexcept override { return slots_; }

  Status submit(std::int32_t slot, const Problem& problem, const SolveOptions& options) override {
    if (real_ == nullptr) {
      const std::shared_ptr<Device> device = opening_->device();
      if (device == nullptr) return opening_->error();
      QAMA_ASSIGN_OR_RETURN(real_, device->compile(workload_));
    }
    if (slot >= real_->max_in_flight()) {
      return Error{ErrorCode::device_busy,
                   "the device holds " + std::to_string(real_->max_in_flight()) +
                       " jobs at a time, this one would be number " + std::to_string(slot + 1)};
    }
    return real_->submit(slot, problem, options);
  }
  Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) override {
    if (real_ == nullptr) {
      return Error{ErrorCode::invalid_argument,
                   "slot " + std::to_string(slot) + " has no job to wait for"};
    }
    return real_->wait(slot, spins, result);
  }
  bool wait_ready(std::int32_t slot, std::int64_t timeout_us) override {
    return real_ == nullptr || real_->wait_ready(slot, timeout_us);
  }
  // A job can only be in flight, and so be cancelled, once real_ is set; it is never replaced.
  void cancel(std::int32_t slot) noexcept override {
    if (real_ != nullptr) real_->cancel(slot);
  }

 private:
  const std::shared_ptr<Opening> opening_;
  const Workload workload_;
  const std::int32_t slots_;
  std::unique_ptr<Solver> real_;
};

class StandIn final : public Device {
 public:
  StandIn(std::string_view uri, Error error, std::int32_t in_flight) {
    info_.uri = std::string(uri);
    info_.name = "a device that was down when it was opened";
    info_.detail = error.message;
    info_.max_in_flight = in_flight;
    info_.deterministic = false;
    opening_ = std::make_shared<Opening>(info_.uri, std::move(error));
  }

  Status start() { return opening_->start(); }

  const DeviceInfo& info() const noexcept override { return info_; }
  Result<DeviceHealth> probe() override {
    if (const auto device = opening_->device()) return device->probe();
    DeviceHealth health;
    health.state = DeviceState::unreachable;
    health.detail = opening_->error().message;
    return health;
  }
  Status supports(const Workload& workload) const override {
    if (const auto device = opening_->device()) return device->supports(workload);
    return check_workload(info_, workload);
  }
  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    QAMA_RETURN_IF_ERROR(supports(workload));
    return std::unique_ptr<Solver>(
        std::make_unique<StandInSolver>(opening_, workload, info_.max_in_flight));
  }

  /// Empty once it was reached.
  [[nodiscard]] std::string why_not() const {
    return opening_->device() == nullptr ? opening_->error().message : std::string();
  }

 private:
  DeviceInfo info_;
  std::shared_ptr<Opening> opening_;
};

}  // namespace

Result<std::shared_ptr<Device>> open_device_or_retry(std::string_view uri, std::int32_t in_flight) {
  auto opened = open_device(uri);
  if (opened.ok() || !may_mend(opened.error().code)) return opened;
  auto stand_in = std::make_shared<StandIn>(uri, std::move(opened).error(), in_flight);
  QAMA_RETURN_IF_ERROR(stand_in->start());
  return std::shared_ptr<Device>(std::move(stand_in));
}

std::string why_not_reached(const Device& device) {
  const Device* first = first_of(device);
  const auto* stand_in = dynamic_cast<const StandIn*>(first != nullptr ? first : &device);
  return stand_in != nullptr ? stand_in->why_not() : std::string();
}

}  // namespace qama::hal
