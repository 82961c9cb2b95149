#include "hal/cim/link_job.h"

#include <algorithm>

#include "hal/base/sentence.h"

namespace qama::hal::cim {

using std::chrono::microseconds;

Status LinkJob::prepare(const ProblemShape& shape, const QuantiseOptions& options,
                        std::size_t payload_bytes, std::size_t most_bytes) {
  QAMA_ASSIGN_OR_RETURN(quantiser_, Quantiser::create(shape, options));
  frame_.resize(kFrameHeaderBytes + payload_bytes);
  packed_.resize(kMaxMachineSpins / 8);
  most_bytes_ = most_bytes;
  return {};
}

Status LinkJob::start(const DenseView& problem, const Submit& message, const LinkOptions& options,
                      std::int64_t deadline_us, std::span<std::int8_t> matrix) {
  start_ = LinkClock::now();
  QAMA_RETURN_IF_ERROR(quantiser_.run(problem));
  const TimePoint quantised = LinkClock::now();
  problem_ = problem;
  id_ = message.job;
  payload_bytes_ = message.encode(quantiser_.view(), options.encoding, matrix,
                                  std::span(frame_).subspan(kFrameHeaderBytes));
  if (payload_bytes_ > most_bytes_) {
    return make_error(ErrorCode::problem_too_large, "a job of ", payload_bytes_, " bytes with its ",
                      quantiser_.view().ancillas, " ancillas, the machine takes at most ",
                      most_bytes_);
  }
  timing_ = {};
  timing_.quantise_us = us_between(start_, quantised);
  timing_.encode_us = us_between(quantised, LinkClock::now());
  const std::int64_t time_us = deadline_us > 0 ? deadline_us : options.timeout_ms * 1000LL;
  deadline_ = start_ + microseconds(time_us);
  attempt_time_ =
      microseconds(options.attempt_ms > 0 ? options.attempt_ms * 1000LL : time_us / kMaxAttempts);
  attempts_ = 0;
  due_ = start_;
  cancelled = false;
  failure_.code = ErrorCode::ok;
  failure_.message.clear();
  state_ = State::queued;
  return {};
}

bool LinkJob::charge() noexcept {
  if (!charged_) charged_ = credit_.take(payload_bytes_);
  return charged_;
}

std::span<const std::uint8_t> LinkJob::frame(std::uint64_t request, std::uint64_t epoch,
                                             TimePoint now) noexcept {
  const auto left = std::chrono::duration_cast<microseconds>(deadline_ - now).count();
  const auto payload = std::span(frame_).subspan(kFrameHeaderBytes, payload_bytes_);
  Submit::renew(payload, epoch, static_cast<std::uint64_t>(std::max<std::int64_t>(left, 1)));
  request_ = request;
  encode_header(Submit::kType, request, payload, std::span(frame_).first(kFrameHeaderBytes));
  return std::span(frame_).first(kFrameHeaderBytes + payload_bytes_);
}

void LinkJob::sent(TimePoint before, TimePoint after) noexcept {
  ++attempts_;
  state_ = State::sent;
  sent_at_ = after;
  timing_.send_us += us_between(before, after);
  due_ = after + attempt_time_;
}

Status LinkJob::answered(const JobResult& answer, TimePoint now) {
  if (answer.job != id_ || answer.packed.size() > packed_.size())
    return Error{ErrorCode::device_bad_answer, "the answer is that of another job"};
  std::copy(answer.packed.begin(), answer.packed.end(), packed_.begin());
  answer_ = answer;
  answer_.packed = std::span<const std::uint8_t>(packed_).first(answer.packed.size());
  answered_at_ = now;
  state_ = State::answered;
  release();
  return {};
}

void LinkJob::again(TimePoint now, Error why, microseconds wait) {
  release();
  if (attempts_ >= kMaxAttempts) {
    why.message += sentence(" (after ", attempts_, " attempts)");
    return fail(std::move(why));
  }
  due_ = now + wait + jitter_.below(wait);
  if (due_ >= deadline_) return fail(std::move(why));
  failure_ = std::move(why);
  state_ = State::queued;
}

void LinkJob::fail(Error why) {
  release();
  state_ = State::failed;
  failure_ = std::move(why);
}

Status LinkJob::finish() {
  const bool failed = state_ == State::failed;
  state_ = State::idle;
  if (failed) return std::move(failure_);
  return {};
}

void LinkJob::release() noexcept {
  if (charged_) credit_.give_back(payload_bytes_);
  charged_ = false;
}

}  // namespace qama::hal::cim
