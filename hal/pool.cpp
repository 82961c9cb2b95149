#include "hal/pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/circuit_breaker.h"
#include "hal/verify.h"

namespace qama::hal {
namespace {

using Clock = CircuitBreaker::Clock;
using std::chrono::microseconds;

constexpr auto kSlice = microseconds(1000);  // of a wait for one machine while others have jobs

/// A machine, for all solvers.
struct Machine {
  Machine(std::shared_ptr<Device> d, std::int64_t cool_down_us)
      : device(std::move(d)), breaker(1, cool_down_us) {}
  const std::shared_ptr<Device> device;
  CircuitBreaker breaker;
  std::atomic<std::int64_t> jobs{0};   // that it has now
  std::atomic<std::uint64_t> last{0};  // when it got the last one; of two it is the other's turn
  std::atomic<std::int64_t> solved{0}, failed{0};
};

struct Shared {
  explicit Shared(PoolOptions o) : options(std::move(o)) {}
  const PoolOptions options;
  std::vector<std::unique_ptr<Machine>> machines;
  std::atomic<std::uint64_t> turns{0};
};

/// The machine is to blame, or the way to it. `answered`: it had taken the job; this end had found
/// the job in order.
bool is_the_machines(ErrorCode code, bool answered) noexcept {
  switch (code) {
    case ErrorCode::problem_too_large:
    case ErrorCode::problem_bad_value:
      return answered;
    case ErrorCode::device_unknown:
    case ErrorCode::device_unavailable:
    case ErrorCode::device_bad_answer:
    case ErrorCode::device_busy:
    case ErrorCode::device_lost:
    case ErrorCode::device_protocol:
    case ErrorCode::device_auth:
    case ErrorCode::device_task_failed:
    case ErrorCode::device_task_unknown:
    case ErrorCode::deadline_exceeded:
      return true;
    default:
      return false;
  }
}

class PoolSolver final : public Solver {
 public:
  explicit PoolSolver(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  Status prepare(const Workload& workload) {
    QAMA_ASSIGN_OR_RETURN(verifier_, Verifier::create(workload));
    std::size_t jobs = 0;
    for (const auto& machine : shared_->machines) {
      QAMA_ASSIGN_OR_RETURN(auto solver, machine->device->compile(workload));
      taken_.emplace_back(static_cast<std::size_t>(solver->max_in_flight()), false);
      jobs += taken_.back().size();
      solvers_.push_back(std::move(solver));
    }
    const auto words = static_cast<std::size_t>(workload.shape.heads) *
                       static_cast<std::size_t>(words_per_head(workload.shape.tokens));
    for (std::size_t i = 0; i < jobs; ++i) {
      slots_.push_back(std::make_unique<Slot>());
      slots_.back()->spins.resize(words);
      slots_.back()->tried.resize(solvers_.size());
    }
    return {};
  }
  ~PoolSolver() override {
    for (const auto& slot : slots_) release(*slot);
  }

  std::int32_t max_in_flight() const noexcept override {
    return static_cast<std::int32_t>(slots_.size());
  }

  Status submit(std::int32_t number, const Problem& problem, const SolveOptions& options) override {
    if (number < 0 || number >= max_in_flight() || slots_[static_cast<std::size_t>(number)]->busy) {
      return make_error(ErrorCode::invalid_argument, "slot ", number, " is taken or not one of ",
                        max_in_flight());
    }
    Slot& slot = *slots_[static_cast<std::size_t>(number)];
    slot.problem = problem;
    slot.options = options;
    slot.start = Clock::now();
    slot.ended = slot.cancelled = false;
    slot.status = {};
    std::fill(slot.tried.begin(), slot.tried.end(), false);
    if (place(slot) == Placed::no) return std::move(slot.status);
    slot.busy = true;
    return {};
  }

  bool wait_ready(std::int32_t number, std::int64_t timeout_us) override {
    Slot* slot = busy_at(number);
    return slot == nullptr || advance(*slot, Clock::now() + microseconds(timeout_us));
  }

  Status wait(std::int32_t number, std::span<std::uint64_t> spins, SolveResult& result) override {
    Slot* slot = busy_at(number);
    if (slot == nullptr)
      return make_error(ErrorCode::invalid_argument, "slot ", number, " has no job to wait for");
    while (!advance(*slot, Clock::now() + std::chrono::hours(1))) {
    }
    slot->busy = false;
    if (!slot->status.ok()) return std::move(slot->status);
    const ProblemShape shape = shape_of(slot->problem);
    const auto words = static_cast<std::size_t>(shape.heads * words_per_head(shape.tokens));
    if (spins.size() < words) return Error{ErrorCode::invalid_argument, "no room for the spins"};
    std::copy_n(slot->spins.begin(), words, spins.begin());
    result = slot->result;
    return {};
  }

  void cancel(std::int32_t number) noexcept override {
    if (number < 0 || number >= max_in_flight()) return;
    Slot& slot = *slots_[static_cast<std::size_t>(number)];
    const std::lock_guard lock(mutex_);
    slot.cancelled = true;
    if (slot.machine >= 0) solvers_[static_cast<std::size_t>(slot.machine)]->cancel(slot.place);
  }

 private:
  struct Slot {
    Problem problem;
    SolveOptions options;
    Clock::time_point start, submitted;
    bool busy = false, ended = false;
    std::int32_t machine = -1, place = 0;  // where it is; with the mutex
    bool cancelled = false;                // with the mutex
    std::vector<bool> tried;               // by machine
    Status status;                         // once it has ended, and the first error
    SolveResult result;
    std::vector<std::uint64_t> spins;
  };

  Slot* busy_at(std::int32_t number) noexcept {
    if (number < 0 || number >= max_in_flight()) return nullptr;
    Slot& slot = *slots_[static_cast<std::size_t>(number)];
    return slot.busy ? &slot : nullptr;
  }

  enum class Placed : std::uint8_t { yes, no_room, no };

  /// Submits the job to the machine with the fewest jobs of those that it has not been to. No room:
  /// one that is in service holds as many as it can. If no machine takes the job, its status is the
  /// error of the first that it went to.
  Placed place(Slot& slot) {
    while (true) {
      bool is_full = false;
      std::size_t best = solvers_.size();
      const auto load = [this](std::size_t k) {
        const Machine& machine = *shared_->machines[k];
        return std::pair(machine.jobs.load(), machine.last.load());
      };
      for (std::size_t k = 0; k < solvers_.size(); ++k) {
        if (slot.tried[k]) continue;
        if (std::find(taken_[k].begin(), taken_[k].end(), false) == taken_[k].end()) {
          is_full = is_full || !shared_->machines[k]->breaker.is_open();
        } else if (best == solvers_.size() || load(k) < load(best)) {
          best = k;
        }
      }
      if (best == solvers_.size()) {
        if (is_full) return Placed::no_room;
        if (slot.status.ok()) {
          slot.status = make_error(ErrorCode::device_unavailable, "all ", shared_->machines.size(),
                                   " machines of ", quote(shared_->options.uri),
                                   " failed and are left alone for a while");
        }
        return Placed::no;
      }
      slot.tried[best] = true;
      Machine& machine = *shared_->machines[best];
      if (!machine.breaker.admits()) continue;
      SolveOptions options = slot.options;
      slot.submitted = Clock::now();
      if (options.deadline_us > 0) {
        options.deadline_us = left_us(slot);
        if (options.deadline_us <= 0) return too_late(slot);
      }
      const auto free = std::find(taken_[best].begin(), taken_[best].end(), false);
      const auto number = static_cast<std::int32_t>(free - taken_[best].begin());
      Status submitted = solvers_[best]->submit(number, slot.problem, options);
      if (submitted.ok()) {
        const std::lock_guard lock(mutex_);
        *free = true;
        slot.machine = static_cast<std::int32_t>(best);
        slot.place = number;
        ++machine.jobs;
        machine.last = ++shared_->turns;
        if (slot.cancelled) solvers_[best]->cancel(number);
        return Placed::yes;
      }
      if (!note_failure(slot, machine, std::move(submitted).error(), false)) return Placed::no;
    }
  }

  static Placed too_late(Slot& slot) {
    if (slot.status.ok())
      slot.status = Error{ErrorCode::deadline_exceeded, "no machine had room in time"};
    return Placed::no;
  }

  void release(Slot& slot) noexcept {
    const std::lock_guard lock(mutex_);
    if (slot.machine < 0) return;
    const auto k = static_cast<std::size_t>(slot.machine);
    taken_[k][static_cast<std::size_t>(slot.place)] = false;
    --shared_->machines[k]->jobs;
    slot.machine = -1;
  }

  [[nodiscard]] static std::int64_t left_us(const Slot& slot) {
    return slot.options.deadline_us -
           std::chrono::duration_cast<microseconds>(Clock::now() - slot.start).count();
  }

  /// Keeps the first error. Whether another machine may be asked.
  bool note_failure(Slot& slot, Machine& machine, Error error, bool answered) {
    const ErrorCode code = error.code;
    if (slot.status.ok()) slot.status = std::move(error);
    if (!is_the_machines(code, answered)) return false;
    machine.breaker.failed(slot.submitted);
    ++machine.failed;
    if (code == ErrorCode::device_task_unknown) return false;
    if (slot.options.deadline_us > 0) return left_us(slot) > 0;
    return code != ErrorCode::deadline_exceeded || shared_->options.repeats_late_jobs;
  }

  /// Until the job has ended; false if it has not by then.
  bool advance(Slot& slot, Clock::time_point until) {
    while (!slot.ended) {
      Slot* at = &slot;
      if (slot.machine < 0) {
        if (is_cancelled(slot)) {
          slot.status = Error{ErrorCode::cancelled, "the job was cancelled"};
          slot.ended = true;
          continue;
        }
        const Placed placed = place(slot);
        if (placed == Placed::yes) continue;
        if (placed == Placed::no) {
          slot.ended = true;
          continue;
        }
        // Room is where a job ends: the one that was submitted first.
        at = nullptr;
        for (const auto& other : slots_) {
          if (other->machine < 0 || slot.tried[static_cast<std::size_t>(other->machine)]) continue;
          if (at == nullptr || other->submitted < at->submitted) at = other.get();
        }
        if (at == nullptr) return false;  // cannot be: a full machine has jobs of this solver
      }
      if (!step(*at, std::min(until, limit_of(slot)))) {
        if (Clock::now() < limit_of(slot) || slot.machine >= 0) return false;
        (void)too_late(slot);
        slot.ended = true;
      }
    }
    return true;
  }

  /// Takes what the job's machine has made of it, once it is there. A job that failed and may go to
  /// another machine is left without one. False if nothing came.
  bool step(Slot& slot, Clock::time_point until) {
    const auto k = static_cast<std::size_t>(slot.machine);
    while (true) {
      const auto left =
          std::max(std::chrono::duration_cast<microseconds>(until - Clock::now()), microseconds(0));
      const bool alone = !serve_others(k);
      if (solvers_[k]->wait_ready(slot.place, (alone ? left : std::min(left, kSlice)).count()))
        break;
      if (left.count() == 0) return false;
    }
    Machine& machine = *shared_->machines[k];
    Status done = solvers_[k]->wait(slot.place, slot.spins, slot.result);
    if (done.ok()) done = verifier_.verify_answer(slot.problem, slot.spins, slot.result.energy);
    release(slot);
    if (done.ok()) {
      machine.breaker.succeeded();
      ++machine.solved;
      slot.status = {};
      slot.result.timing.total_us =
          std::chrono::duration<double, std::micro>(Clock::now() - slot.start).count();
      slot.ended = true;
    } else {
      slot.ended = !note_failure(slot, machine, std::move(done).error(), true);
    }
    return true;
  }

  /// A solver takes what has come only while somebody waits for it. Whether others than machine
  /// `but` have jobs.
  bool serve_others(std::size_t but) {
    bool any = false;
    for (std::size_t k = 0; k < solvers_.size(); ++k) {
      const auto used = std::find(taken_[k].begin(), taken_[k].end(), true);
      if (k == but || used == taken_[k].end()) continue;
      (void)solvers_[k]->wait_ready(static_cast<std::int32_t>(used - taken_[k].begin()), 0);
      any = true;
    }
    return any;
  }

  [[nodiscard]] static Clock::time_point limit_of(const Slot& slot) {
    return slot.options.deadline_us > 0 ? slot.start + microseconds(slot.options.deadline_us)
                                        : Clock::time_point::max();
  }
  bool is_cancelled(const Slot& slot) {
    const std::lock_guard lock(mutex_);
    return slot.cancelled;
  }

  const std::shared_ptr<Shared> shared_;
  Verifier verifier_;
  std::vector<std::unique_ptr<Solver>> solvers_;  // by machine
  std::vector<std::vector<bool>> taken_;          // by machine and its solver's slot
  std::vector<std::unique_ptr<Slot>> slots_;
  std::mutex mutex_;  // where jobs are, for cancel()
};

class PoolDevice final : public Device {
 public:
  PoolDevice(std::vector<std::shared_ptr<Device>> machines, PoolOptions options)
      : shared_(std::make_shared<Shared>(std::move(options))) {
    // A machine that is down says nothing of itself: the others do.
    const auto said = std::find_if(machines.begin(), machines.end(),
                                   [](const auto& device) { return device->info().max_spins > 0; });
    info_ = (said == machines.end() ? machines.front() : *said)->info();
    info_.uri = shared_->options.uri;
    info_.name = sentence(machines.size(), " machines, as ", info_.name);
    info_.detail = "a job goes to the machine that has the fewest; " + info_.detail;
    info_.max_in_flight = 0;
    info_.deterministic = false;
    for (auto& device : machines) {
      const DeviceInfo& info = device->info();
      info_.max_in_flight += info.max_in_flight;
      if (info.max_spins > 0) info_.max_spins = std::min(info_.max_spins, info.max_spins);
      shared_->machines.push_back(
          std::make_unique<Machine>(std::move(device), shared_->options.cool_down_us));
    }
  }

  const DeviceInfo& info() const noexcept override { return info_; }

  /// The best of them, and how many are available.
  Result<DeviceHealth> probe() override {
    DeviceHealth out;
    out.state = DeviceState::unreachable;
    std::size_t available = 0;
    std::string states;
    for (const auto& machine : shared_->machines) {
      QAMA_ASSIGN_OR_RETURN(const DeviceHealth health, machine->device->probe());
      if (health.state == DeviceState::available) {
        ++available;
        out.round_trip_us = std::max(out.round_trip_us, health.round_trip_us);
      }
      out.state = std::min(out.state, health.state);
      states += sentence(states.empty() ? "" : ", ", machine->device->info().uri, " is ",
                         device_state_name(health.state));
    }
    out.detail =
        sentence(available, " of ", shared_->machines.size(), " machines are available: ", states);
    return out;
  }

  Status supports(const Workload& workload) const override {
    for (const auto& machine : shared_->machines)
      QAMA_RETURN_IF_ERROR(machine->device->supports(workload));
    return {};
  }

  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    auto solver = std::make_unique<PoolSolver>(shared_);
    QAMA_RETURN_IF_ERROR(solver->prepare(workload));
    return std::unique_ptr<Solver>(std::move(solver));
  }

  [[nodiscard]] std::vector<PoolShare> shares() const {
    std::vector<PoolShare> out;
    for (const auto& machine : shared_->machines)
      out.push_back({machine->device->info().uri, machine->solved, machine->failed});
    return out;
  }

 private:
  const std::shared_ptr<Shared> shared_;
  DeviceInfo info_;
};

}  // namespace

Result<std::shared_ptr<Device>> make_pool(std::vector<std::shared_ptr<Device>> machines,
                                          PoolOptions options) {
  if (machines.empty() || options.cool_down_us < 1)
    return Error{ErrorCode::invalid_argument, "a pool needs a machine and a positive pause"};
  return std::shared_ptr<Device>(
      std::make_shared<PoolDevice>(std::move(machines), std::move(options)));
}

std::vector<PoolShare> pool_shares(const Device& device) {
  const auto* pool = dynamic_cast<const PoolDevice*>(&device);
  return pool != nullptr ? pool->shares() : std::vector<PoolShare>();
}

}  // namespace qama::hal
