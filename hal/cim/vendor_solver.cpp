#include "hal/cim/vendor_solver.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <thread>

#include "hal/base/hexadecimal.h"
#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/platform/clock.h"

namespace qama::hal::cim {
namespace {

using std::chrono::milliseconds;

constexpr auto kFirstPoll = milliseconds(5);
constexpr auto kLongestPoll = milliseconds(2000);
constexpr auto kCancelTime = milliseconds(20);  // after which a cancelled job has ended

}  // namespace

VendorSolver::VendorSolver(const VendorOptions& options, bool emulated)
    : options_(options), emulated_(emulated), terminal_(options_) {}

Status VendorSolver::prepare(const ProblemShape& shape) {
  QuantiseOptions quantise;
  quantise.ancillas = options_.ancillas;
  QAMA_ASSIGN_OR_RETURN(quantiser_, Quantiser::create(shape, quantise));
  QAMA_ASSIGN_OR_RETURN(picker_, SamplePicker::create(shape));
  shape_ = shape;
  return terminal_.login(LinkClock::now() + milliseconds(options_.timeout_ms));
}

Status VendorSolver::submit(std::int32_t slot, const Problem& any, const SolveOptions& options) {
  if (slot != 0 || pending_) {
    return make_error(ErrorCode::invalid_argument, "slot ", slot,
                      ", expected 0 and that it is free");
  }
  const auto* dense = std::get_if<DenseView>(&any);
  // Too many tokens are the quantiser's error, PROBLEM_TOO_LARGE.
  if (dense == nullptr || dense->shape.heads != shape_.heads) return check_fits(shape_, any);
  terminal_.start();
  start_ = LinkClock::now();
  deadline_ = start_ + std::chrono::microseconds(options.deadline_us > 0
                                                     ? options.deadline_us
                                                     : options_.timeout_ms * std::int64_t{1000});
  timing_ = {};
  QAMA_RETURN_IF_ERROR(quantiser_.run(*dense));
  timing_.quantise_us = platform::microseconds_since(start_);
  const TimePoint encoding = LinkClock::now();
  const std::size_t width = quantiser_.view().spins();
  matrix_.resize(width * width);
  expand(quantiser_.view(), matrix_);
  const std::string csv = matrix_csv(matrix_, width);
  timing_.encode_us = platform::microseconds_since(encoding);
  const TimePoint sending = LinkClock::now();
  std::array<std::uint8_t, 12> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1)
    return Error{ErrorCode::internal, "no random numbers"};
  task_name_ = "qama-" + hexadecimal(random);
  QAMA_ASSIGN_OR_RETURN(const Json file_id, terminal_.upload(task_name_ + ".csv", csv, deadline_));
  QAMA_RETURN_IF_ERROR(terminal_.submit(task_name_, file_id, deadline_));
  timing_.send_us = platform::microseconds_since(sending);
  problem_ = *dense;
  pending_ = true;
  return {};
}

Status VendorSolver::wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) {
  if (slot != 0 || !pending_)
    return make_error(ErrorCode::invalid_argument, "slot ", slot, " has no job to wait for");
  pending_ = false;
  task_id_ = 0;
  auto done = finish(spins, result);
  if (task_id_ > 0) {
    terminal_.start();
    terminal_.remove(task_id_, LinkClock::now() + milliseconds(1000));
  }
  return done;
}

Status VendorSolver::finish(std::span<std::uint64_t> spins, SolveResult& result) {
  const TimePoint polling = LinkClock::now();
  QAMA_RETURN_IF_ERROR(await_task());
  timing_.queue_us = platform::microseconds_since(polling);
  const TimePoint fetching = LinkClock::now();
  const QuantisedView& view = quantiser_.view();
  QAMA_ASSIGN_OR_RETURN(const Samples samples,
                        terminal_.fetch(task_id_, view.spins(), view.fields.size(), deadline_));
  timing_.network_us = platform::microseconds_since(fetching);
  const TimePoint verifying = LinkClock::now();
  const auto may_go_on = [this]() -> Status {
    if (terminal_.stopped()) return Error{ErrorCode::cancelled, "the job was cancelled"};
    if (LinkClock::now() < deadline_) return {};
    return make_error(ErrorCode::deadline_exceeded, "task ", quote(task_name_),
                      " has more samples than there is time for");
  };
  QAMA_RETURN_IF_ERROR(picker_.take_best(view, problem_, samples, may_go_on, spins, result));
  timing_.verify_us = platform::microseconds_since(verifying);
  timing_.total_us = platform::microseconds_since(start_);
  timing_.modelled = emulated_;
  result.solved_by = emulated_ ? "qboson:emulated" : "qboson";
  result.timing = timing_;
  return {};
}

/// Whether the task is done.
Result<bool> VendorSolver::read(const TaskStatus& task) {
  if (task.id > 0) task_id_ = task.id;
  if (task.status == TaskStatus::done) {
    if (task_id_ > 0) return true;
    // Another task's samples could fit by chance: nothing in them says whose they are.
    return make_error(ErrorCode::device_protocol, "the terminal says that task ", quote(task_name_),
                      " is done, but not its id, expected a number above 0");
  }
  if (task.status == TaskStatus::failed) {
    return make_error(ErrorCode::device_task_failed, "the machine failed at task ",
                      quote(task_name_));
  }
  if (task.status != TaskStatus::waiting && task.status != TaskStatus::running) {
    return make_error(ErrorCode::device_task_unknown, "the terminal does not know task ",
                      quote(task_name_), " (status ", task.status, ")");
  }
  return false;
}

/// Polls, ever more seldom, until the task is done.
Status VendorSolver::await_task() {
  auto pause = kFirstPoll;
  for (int failures = 0;;) {
    const auto task = terminal_.poll(task_name_, deadline_);
    if (task.ok()) {
      failures = 0;
      QAMA_ASSIGN_OR_RETURN(const bool done, read(*task));
      if (done) return {};
    } else if (!may_mend(task.error().code) || ++failures == kMostFailedPolls ||
               LinkClock::now() >= deadline_) {
      return task.error();
    }
    // A task that is done just in time counts: the last pauses are shorter.
    const TimePoint now = LinkClock::now();
    if (deadline_ - now < 2 * kFirstPoll) {
      return make_error(ErrorCode::deadline_exceeded, "task ", quote(task_name_),
                        " is not done in time");
    }
    const TimePoint next = now + std::min<LinkClock::duration>(pause, (deadline_ - now) / 2);
    while (!terminal_.stopped() && LinkClock::now() < next) {
      std::this_thread::sleep_for(
          std::min<LinkClock::duration>(next - LinkClock::now(), kCancelTime));
    }
    if (terminal_.stopped()) return Error{ErrorCode::cancelled, "the job was cancelled"};
    pause = std::min(2 * pause, kLongestPoll);
  }
}

}  // namespace qama::hal::cim
