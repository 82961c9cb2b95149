#include "hal/cim/cloud_solver.h"

#include <openssl/rand.h>

#include <array>
#include <new>

#include "hal/base/hexadecimal.h"
#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/cim/matrix_csv.h"
#include "hal/platform/clock.h"

namespace qama::hal::cim {

using std::chrono::microseconds;

// ---- the worker ----

CloudWorker::~CloudWorker() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    caller_.http().stop();
  }
  changed_.notify_all();
}

Status CloudWorker::start() {
  return thread_.start([this] { work(); });
}

void CloudWorker::give(std::shared_ptr<CloudJob> job) {
  {
    const std::lock_guard lock(mutex_);
    letter_ = std::move(job);
  }
  changed_.notify_all();
}

void CloudWorker::cancel(CloudJob& job) noexcept {
  {
    const std::lock_guard lock(mutex_);
    job.cancelled = true;
    if (&job == at_hand_.get()) caller_.http().stop();
  }
  changed_.notify_all();
}

CloudWorker::State CloudWorker::wait_for(const CloudJob& job, TimePoint until) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until, [&] { return job.done || job.cancelled; });
  return job.done ? State::done : job.cancelled ? State::cancelled : State::waiting;
}

void CloudWorker::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || letter_ != nullptr; });
    if (ending_) return;
    at_hand_ = std::exchange(letter_, nullptr);
    CloudJob& job = *at_hand_;
    if (job.cancelled) {
      job.answer = Error{ErrorCode::cancelled, "the job was cancelled"};
    } else {
      caller_.http().start();
      const auto sleep = [this, &job](TimePoint until) {
        std::unique_lock sleeping(mutex_);
        return !changed_.wait_until(sleeping, until, [&] { return ending_ || job.cancelled; });
      };
      lock.unlock();
      Result<CloudAnswer> answer = Error{ErrorCode::out_of_memory, {}};
      try {
        answer = caller_.solve(job.order, sleep);
      } catch (const std::bad_alloc&) {
        answer = Error{ErrorCode::out_of_memory, {}};
      }
      lock.lock();
      job.answer = std::move(answer);
    }
    job.done = true;
    at_hand_.reset();
    changed_.notify_all();
  }
}

// ---- the solver ----

Status CloudSolver::prepare(const ProblemShape& shape) {
  const CloudOptions& options = access_->options;
  QuantiseOptions quantise;
  quantise.max_spins = options.spins;
  quantise.ancillas = options.ancillas;
  QAMA_ASSIGN_OR_RETURN(picker_, SamplePicker::create(shape));
  shape_ = shape;
  while (max_in_flight() < options.in_flight) {
    auto slot = std::make_unique<Slot>(access_);
    QAMA_ASSIGN_OR_RETURN(slot->quantiser, Quantiser::create(shape, quantise));
    QAMA_RETURN_IF_ERROR(slot->worker.start());
    slots_.push_back(std::move(slot));
  }
  return {};
}

CloudSolver::Slot* CloudSolver::busy_at(std::int32_t slot) noexcept {
  if (slot < 0 || slot >= max_in_flight()) return nullptr;
  Slot& at = *slots_[static_cast<std::size_t>(slot)];
  return at.job == nullptr ? nullptr : &at;
}

Status CloudSolver::submit(std::int32_t number, const Problem& any, const SolveOptions& options) {
  if (number < 0 || number >= max_in_flight() || busy_at(number) != nullptr) {
    return make_error(ErrorCode::invalid_argument, "slot ", number, " is taken or not one of ",
                      max_in_flight());
  }
  const auto* dense = std::get_if<DenseView>(&any);
  // Too many tokens are the quantiser's error, PROBLEM_TOO_LARGE.
  if (dense == nullptr || dense->shape.heads != shape_.heads) return check_fits(shape_, any);
  Slot& slot = *slots_[static_cast<std::size_t>(number)];
  slot.start = LinkClock::now();
  slot.timing = {};
  QAMA_RETURN_IF_ERROR(slot.quantiser.run(*dense));
  slot.timing.quantise_us = platform::microseconds_since(slot.start);
  const TimePoint encoding = LinkClock::now();
  std::array<std::uint8_t, 12> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1)
    return Error{ErrorCode::internal, "no random numbers"};
  const QuantisedView& view = slot.quantiser.view();
  auto job = std::make_shared<CloudJob>();
  job->order.name = "qama-" + hexadecimal(random);
  job->order.width = view.spins();
  job->order.first_ancilla = view.fields.size();
  job->order.matrix.resize(view.spins() * view.spins());
  expand(view, job->order.matrix);
  job->order.csv = matrix_csv(job->order.matrix, view.spins());
  job->order.deadline =
      slot.start + microseconds(options.deadline_us > 0
                                    ? options.deadline_us
                                    : access_->options.timeout_ms * std::int64_t{1000});
  slot.timing.encode_us = platform::microseconds_since(encoding);
  slot.problem = *dense;
  slot.job = job;
  slot.worker.give(std::move(job));
  return {};
}

bool CloudSolver::wait_ready(std::int32_t number, std::int64_t timeout_us) {
  Slot* slot = busy_at(number);
  if (slot == nullptr) return true;
  const TimePoint until = LinkClock::now() + microseconds(timeout_us);
  const TimePoint deadline = slot->job->order.deadline;
  return slot->worker.wait_for(*slot->job, std::min(until, deadline)) !=
             CloudWorker::State::waiting ||
         LinkClock::now() >= deadline;
}

Status CloudSolver::wait(std::int32_t number, std::span<std::uint64_t> spins, SolveResult& result) {
  Slot* slot = busy_at(number);
  if (slot == nullptr)
    return make_error(ErrorCode::invalid_argument, "slot ", number, " has no job to wait for");
  // The worker may still be busy with a job that nobody wants any more.
  const std::shared_ptr<CloudJob> job = std::exchange(slot->job, nullptr);
  switch (slot->worker.wait_for(*job, job->order.deadline)) {
    case CloudWorker::State::done:
      return finish(*slot, *job, spins, result);
    case CloudWorker::State::cancelled:
      return Error{ErrorCode::cancelled, "the job was cancelled"};
    case CloudWorker::State::waiting:
      break;
  }
  slot->worker.cancel(*job);
  return make_error(ErrorCode::deadline_exceeded, "task ", quote(job->order.name),
                    " is not done in time");
}

Status CloudSolver::finish(Slot& slot, CloudJob& job, std::span<std::uint64_t> spins,
                           SolveResult& result) {
  if (!job.answer.ok()) return std::move(job.answer).error();
  const CloudAnswer& answer = *job.answer;
  const TimePoint verifying = LinkClock::now();
  const auto may_go_on = [&]() -> Status {
    if (LinkClock::now() < job.order.deadline) return {};
    return make_error(ErrorCode::deadline_exceeded, "task ", quote(job.order.name),
                      " has more samples than there is time for");
  };
  QAMA_RETURN_IF_ERROR(picker_.take_best(slot.quantiser.view(), slot.problem, answer.samples,
                                         may_go_on, spins, result));
  SolveTiming& timing = slot.timing;
  timing.login_us = answer.login_us;
  timing.send_us = answer.submit_us;
  timing.queue_us = answer.wait_us;
  timing.network_us = answer.fetch_us;
  timing.verify_us = platform::microseconds_since(verifying);
  timing.total_us = platform::microseconds_since(slot.start);
  timing.modelled = access_->emulated;
  result.solved_by = access_->emulated ? "qboson-cloud:emulated" : "qboson-cloud";
  result.timing = timing;
  return {};
}

void CloudSolver::cancel(std::int32_t number) noexcept {
  if (Slot* slot = busy_at(number)) slot->worker.cancel(*slot->job);
}

}  // namespace qama::hal::cim
