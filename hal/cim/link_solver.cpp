#include "hal/cim/link_solver.h"

#include <algorithm>
#include <cstring>

#include "hal/base/sentence.h"

namespace qama::hal::cim {
namespace {

using std::chrono::microseconds;
using State = LinkJob::State;

constexpr auto kCreditWait = microseconds(200);
constexpr auto kAttachWait = microseconds(2000);
constexpr microseconds kLongestWait = std::chrono::milliseconds(1000);

bool worth_a_retry(ErrorCode code) noexcept {
  return code == ErrorCode::device_lost || code == ErrorCode::device_busy ||
         code == ErrorCode::device_bad_answer || code == ErrorCode::deadline_exceeded;
}

}  // namespace

LinkSolver::LinkSolver(std::shared_ptr<LinkSession> session, const LinkOptions& options,
                       const ProblemShape& shape)
    : session_(std::move(session)),
      options_(options),
      shape_(shape),
      job_prefix_(random_id()),
      data_(session_, shape, options.encoding) {}

LinkSolver::~LinkSolver() {
  for (const LinkJob& job : jobs_) {
    if (job.state() == State::sent) session_->send_cancel(job.id());
  }
}

Status LinkSolver::prepare(std::size_t in_flight) {
  const auto machine_spins = session_->capabilities().max_spins;
  QuantiseOptions quantise;
  quantise.max_spins = static_cast<std::int32_t>(machine_spins);
  quantise.ancillas = options_.ancillas;
  QAMA_ASSIGN_OR_RETURN(checker_, AnswerChecker::create(shape_));
  const auto most_ancillas = std::min<std::int32_t>(
      kMaxAncillas, quantise.max_spins - static_cast<std::int32_t>(shape_.spins()));
  const std::size_t bytes = submit_bytes(shape_, most_ancillas, options_.encoding);
  while (jobs_.size() < in_flight) {
    QAMA_RETURN_IF_ERROR(
        jobs_.emplace_back(session_->credit(), jitter_)
            .prepare(shape_, quantise, bytes, session_->capabilities().most_job_bytes()));
  }
  if (options_.encoding == Encoding::dense_i8) matrix_.resize(machine_spins * machine_spins);
  return {};
}

std::int32_t LinkSolver::max_in_flight() const noexcept {
  return static_cast<std::int32_t>(jobs_.size());
}

LinkJob* LinkSolver::job_at(std::int32_t slot) noexcept {
  const auto at = static_cast<std::size_t>(slot);  // below 0 is beyond the end
  return at < jobs_.size() ? &jobs_[at] : nullptr;
}

std::size_t LinkSolver::pending() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(jobs_.begin(), jobs_.end(), [](const LinkJob& j) { return j.pending(); }));
}

Status LinkSolver::submit(std::int32_t slot, const Problem& any, const SolveOptions& options) {
  LinkJob* job = job_at(slot);
  if (job == nullptr || job->state() != State::idle) {
    return make_error(ErrorCode::invalid_argument, "slot ", slot, " is taken or not one of ",
                      max_in_flight());
  }
  const auto* dense = std::get_if<DenseView>(&any);
  // Too many tokens are the quantiser's error, PROBLEM_TOO_LARGE.
  if (dense == nullptr || dense->shape.heads != shape_.heads) return check_fits(shape_, any);
  const DenseView& problem = *dense;
  Submit message;
  message.job = job_prefix_;
  ++last_job_;
  std::memcpy(message.job.data() + 8, &last_job_, sizeof last_job_);
  message.seed = options.seed;
  message.program = data_.program();
  const std::int32_t reads =
      std::max(options_.reads > 0 ? options_.reads : options.schedule.restarts, 1);
  message.reads = std::min(static_cast<std::size_t>(reads), session_->capabilities().max_reads);
  QAMA_RETURN_IF_ERROR(job->start(problem, message, options_, options.deadline_us, matrix_.span()));
  if (data_.open()) send_due(*job, LinkClock::now());
  return {};
}

bool LinkSolver::wait_ready(std::int32_t slot, std::int64_t timeout_us) {
  const LinkJob* job = job_at(slot);
  if (job == nullptr) return true;
  const TimePoint until = LinkClock::now() + microseconds(timeout_us);
  while (job->pending()) {
    service(until);
    if (LinkClock::now() >= until) break;
  }
  return !job->pending();
}

Status LinkSolver::wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) {
  LinkJob* job = job_at(slot);
  if (job == nullptr || job->state() == State::idle) {
    return make_error(ErrorCode::invalid_argument, "slot ", slot, " has no job to wait for");
  }
  while (true) {
    while (job->pending()) service(job->deadline());
    if (job->state() == State::failed) return job->finish();
    auto checked = checker_.check(*job, spins, result);
    if (checked.ok() || checked.error().code != ErrorCode::device_bad_answer) {
      (void)job->finish();
      return checked;
    }
    // The machine remembers the job: asked again it sends the answer that it meant to send.
    job->again(LinkClock::now(), std::move(checked).error());
  }
}

void LinkSolver::cancel(std::int32_t slot) noexcept {
  LinkJob* job = job_at(slot);
  if (job == nullptr) return;
  job->cancelled = true;
  wake_.ring();
}

/// Does what is due and takes what has come; waits at most until `until` for the next of either.
void LinkSolver::service(TimePoint until) {
  TimePoint now = LinkClock::now();
  TimePoint next = until;
  const std::size_t pending_before = pending();
  // What has come counts, also where the caller did not look before the job's time was over: it may
  // have been busy with another machine.
  const auto is_late = [now](const LinkJob& job) {
    return job.state() == State::sent && now >= std::min(job.due(), job.deadline());
  };
  if (data_.open() && std::any_of(jobs_.begin(), jobs_.end(), is_late)) take_replies();
  for (LinkJob& job : jobs_) {
    if (!job.pending() || gave_up(job, now)) continue;
    if (job.state() == State::sent && now >= job.due()) {
      // Perhaps the answer was lost. The machine answers the same id from memory, or joins it to
      // the running job.
      job.again(now, {ErrorCode::deadline_exceeded, "no answer from the machine"}, microseconds(0));
    }
    if (job.state() == State::queued && now >= job.due()) {
      send_due(job, now);
      now = LinkClock::now();
    }
    if (job.pending()) next = std::min({next, job.due(), job.deadline()});
  }
  // The caller may wait for a job that just failed.
  if (pending() < pending_before) return;
  if (data_.open()) {
    data_.wait(wake_, std::max(next, now));
    wake_.clear();
    take_replies();
  } else if (next > now) {
    (void)wait_for(wake_.fd(), false, -1, next);
    wake_.clear();
  }
}

/// Fails a job that was cancelled or whose time is over.
bool LinkSolver::gave_up(LinkJob& job, TimePoint now) {
  if (!job.cancelled && now < job.deadline()) return false;
  if (job.state() == State::sent) session_->send_cancel(job.id());
  if (job.cancelled) {
    job.fail({ErrorCode::cancelled, "the job was cancelled"});
  } else if (job.failure().code != ErrorCode::ok) {
    job.fail(Error(job.failure()));
  } else {
    job.fail({ErrorCode::deadline_exceeded, "no answer from the machine within the job's time"});
  }
  return true;
}

/// Sends a queued job whose time has come.
void LinkSolver::send_due(LinkJob& job, TimePoint now) {
  if (!data_.open()) {
    if (!attach_for(job)) return;
    now = LinkClock::now();
  }
  if (!job.charge()) return job.postpone(now + kCreditWait);
  const auto frame = job.frame(data_.new_request(), data_.epoch(), now);
  const bool sent = data_.send(frame, job.attempt_ends(now));
  const TimePoint after = LinkClock::now();
  job.sent(now, after);
  if (!sent) drop_connection(after, "the data connection ended while sending");
}

/// Opens the data connection. If that fails, the job has used an attempt.
bool LinkSolver::attach_for(LinkJob& job) {
  auto attached = data_.attach(job.deadline());
  if (attached.ok()) return true;
  job.count_attempt();
  if (worth_a_retry(attached.error().code)) {
    job.again(LinkClock::now(), std::move(attached).error(), kAttachWait);
  } else {
    job.fail(std::move(attached).error());
  }
  return false;
}

void LinkSolver::take_replies() {
  const bool open = data_.fill();
  const TimePoint now = LinkClock::now();
  Frame frame;
  FrameReader::Next next{};
  while ((next = data_.next(frame)) == FrameReader::Next::frame) {
    take_reply(frame, now);
    if (!data_.open()) return;
  }
  if (next == FrameReader::Next::broken)
    return drop_connection(now, "the data connection carries no frames any more");
  if (!open) drop_connection(now, "the machine ended the data connection");
}

void LinkSolver::take_reply(const Frame& frame, TimePoint now) {
  const auto job = std::find_if(jobs_.begin(), jobs_.end(), [&](const LinkJob& j) {
    return j.state() == State::sent && j.request() == frame.header.request;
  });
  if (job == jobs_.end()) return;  // late, or a duplicate
  if (!frame.intact) {
    job->again(now, {ErrorCode::device_protocol, "the answer was damaged on its way"});
  } else if (frame.header.type == MessageType::error) {
    take_error(*job, frame, now);
  } else if (frame.header.type == MessageType::result) {
    take_result(*job, frame.payload, now);
  }
}

void LinkSolver::take_result(LinkJob& job, std::span<const std::uint8_t> payload, TimePoint now) {
  auto answer = JobResult::decode(payload);
  if (!answer.ok()) return job.again(now, std::move(answer).error());
  auto taken = job.answered(*answer, now);
  if (!taken.ok()) job.again(now, std::move(taken).error());
}

/// What each status asks of a client: PROTOCOL.md, "Status numbers".
void LinkSolver::take_error(LinkJob& job, const Frame& frame, TimePoint now) {
  auto reply = ErrorReply::decode(frame.payload);
  if (!reply.ok()) return job.again(now, std::move(reply).error());
  Error error = machine_error(frame.header.status, *reply);
  switch (frame.header.status) {
    case LinkStatus::bad_crc:
    case LinkStatus::queue_full:
    case LinkStatus::calibrating:
    case LinkStatus::credit:
      return job.again(now, std::move(error),
                       std::clamp(microseconds(reply->wait_us), kRetryWait, kLongestWait));
    case LinkStatus::unknown_program:
      job.again(now, std::move(error));
      return drop_connection(now, "the machine forgot the program");
    case LinkStatus::lost:
    case LinkStatus::no_session:
      job.again(now, std::move(error));
      data_.forget_session();
      return drop_connection(now, "the machine was restarted");
    case LinkStatus::cancelled:
      // Not by this end's caller: the machine's operator, or another client. A caller who never
      // cancelled must not hear that; the fall-back takes it for his wish.
      if (!job.cancelled) error.code = ErrorCode::device_task_failed;
      return job.fail(std::move(error));
    default:
      return job.fail(std::move(error));
  }
}

void LinkSolver::drop_connection(TimePoint now, const char* why) {
  data_.close();
  for (LinkJob& job : jobs_) {
    if (job.state() == State::sent) job.again(now, {ErrorCode::device_lost, why});
  }
}

}  // namespace qama::hal::cim
