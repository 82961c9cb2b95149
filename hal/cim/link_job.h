// One job on its way to the machine and back, with its retries.
//
//   idle --start()--> queued --sent()--> sent --answered()--> answered --finish()--> idle
//                       ^                 |                      |
//                       +--- again() -----+----------------------+
//                       |   no attempt or no time left
//                       +--> failed --finish()--> idle
//
// again() keeps the job id and the body, so that the machine never anneals a job twice
// (PROTOCOL.md, "Rules").
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hal/cim/link_options.h"
#include "hal/cim/link_session.h"
#include "hal/cim/quantise.h"

namespace qama::hal::cim {

/// The first attempt and two retries (PROTOCOL.md, "Rules").
inline constexpr std::int32_t kMaxAttempts = 3;
inline constexpr auto kRetryWait = std::chrono::microseconds(300);  ///< before jitter

/// Memory for one job at a time, made once. One thread at a time, except `cancelled`.
class LinkJob {
 public:
  enum class State : std::uint8_t { idle, queued, sent, answered, failed };

  LinkJob(Credit& credit, Jitter& jitter) : credit_(credit), jitter_(jitter) {}
  LinkJob(const LinkJob&) = delete;
  LinkJob& operator=(const LinkJob&) = delete;
  ~LinkJob() { release(); }
  /// Makes the memory. `payload_bytes` is the longest SUBMIT, `most_bytes` the longest that the
  /// machine takes.
  Status prepare(const ProblemShape& shape, const QuantiseOptions& options,
                 std::size_t payload_bytes, std::size_t most_bytes);

  [[nodiscard]] State state() const noexcept { return state_; }
  /// No answer and no failure yet.
  [[nodiscard]] bool pending() const noexcept {
    return state_ == State::queued || state_ == State::sent;
  }

  /// Quantises the problem and encodes `message` with it; `matrix` is scratch for dense_i8. The
  /// problem's memory has to stay until finish(). PROBLEM_TOO_LARGE for more bytes than the machine
  /// takes: no wait would give credit for them.
  Status start(const DenseView& problem, const Submit& message, const LinkOptions& options,
               std::int64_t deadline_us, std::span<std::int8_t> matrix);
  /// Takes the machine's credit for the job; false if there is none now.
  [[nodiscard]] bool charge() noexcept;
  /// The frame of the next attempt, with the time that is left at `now`.
  [[nodiscard]] std::span<const std::uint8_t> frame(std::uint64_t request, std::uint64_t epoch,
                                                    TimePoint now) noexcept;
  /// frame() went out between `before` and `after`.
  void sent(TimePoint before, TimePoint after) noexcept;
  /// Keeps a copy of the answer. DEVICE_BAD_ANSWER if it is that of another job.
  Status answered(const JobResult& answer, TimePoint now);
  /// The attempt did not serve: waits and tries once more, or gives up with this error.
  void again(TimePoint now, Error why, std::chrono::microseconds wait = kRetryWait);
  void fail(Error why);
  /// The job cannot be sent before this moment.
  void postpone(TimePoint due) noexcept { due_ = due; }
  /// An attempt failed before anything was sent.
  void count_attempt() noexcept { ++attempts_; }
  /// The slot is free again; returns why the job failed, or OK.
  Status finish();

  std::atomic<bool> cancelled{false};

  [[nodiscard]] const JobId& id() const noexcept { return id_; }
  [[nodiscard]] std::uint64_t request() const noexcept { return request_; }
  [[nodiscard]] TimePoint due() const noexcept { return due_; }
  [[nodiscard]] TimePoint deadline() const noexcept { return deadline_; }
  [[nodiscard]] TimePoint attempt_ends(TimePoint now) const noexcept {
    return std::min(deadline_, now + attempt_time_);
  }
  /// Why the last attempt did not serve; its code is OK before.
  [[nodiscard]] const Error& failure() const noexcept { return failure_; }
  [[nodiscard]] const DenseView& problem() const noexcept { return problem_; }
  [[nodiscard]] const QuantisedView& quantised() const noexcept { return quantiser_.view(); }
  [[nodiscard]] const JobResult& answer() const noexcept { return answer_; }
  /// Encoding and sending so far.
  [[nodiscard]] const SolveTiming& timing() const noexcept { return timing_; }
  [[nodiscard]] TimePoint started_at() const noexcept { return start_; }
  /// The last attempt's round trip.
  [[nodiscard]] double round_trip_us() const noexcept { return us_between(sent_at_, answered_at_); }

 private:
  void release() noexcept;

  Credit& credit_;
  Jitter& jitter_;
  State state_ = State::idle;
  Quantiser quantiser_;
  DenseView problem_;
  JobId id_{};
  std::uint64_t request_ = 0;
  std::vector<std::uint8_t> frame_;
  std::size_t payload_bytes_ = 0;
  std::size_t most_bytes_ = 0;  // of a payload that the machine takes
  bool charged_ = false;
  std::int32_t attempts_ = 0;
  TimePoint start_, deadline_, due_, sent_at_, answered_at_;
  std::chrono::microseconds attempt_time_{};
  std::vector<std::uint8_t> packed_;  // the answer's spins
  JobResult answer_;
  SolveTiming timing_;
  Error failure_{ErrorCode::ok, {}};
};

}  // namespace qama::hal::cim
