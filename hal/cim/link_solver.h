// A device's work on one layer shape over the link: several jobs in flight on one data connection.
// No thread of its own: the caller's wait() sends what is due and takes what has come.
#pragma once

#include <deque>
#include <memory>

#include "hal/base/aligned.h"
#include "hal/cim/link_answer.h"
#include "hal/cim/link_data.h"
#include "hal/cim/link_job.h"
#include "hal/device.h"

namespace qama::hal::cim {

class LinkSolver final : public Solver {
 public:
  LinkSolver(std::shared_ptr<LinkSession> session, const LinkOptions& options,
             const ProblemShape& shape);
  ~LinkSolver() override;
  /// Makes all memory, for `in_flight` jobs.
  Status prepare(std::size_t in_flight);

  std::int32_t max_in_flight() const noexcept override;
  Status submit(std::int32_t slot, const Problem& problem, const SolveOptions& options) override;
  bool wait_ready(std::int32_t slot, std::int64_t timeout_us) override;
  Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) override;
  void cancel(std::int32_t slot) noexcept override;

 private:
  [[nodiscard]] LinkJob* job_at(std::int32_t slot) noexcept;
  [[nodiscard]] std::size_t pending() const noexcept;
  void service(TimePoint until);
  [[nodiscard]] bool gave_up(LinkJob& job, TimePoint now);
  void send_due(LinkJob& job, TimePoint now);
  [[nodiscard]] bool attach_for(LinkJob& job);
  void take_replies();
  void take_reply(const Frame& frame, TimePoint now);
  void take_result(LinkJob& job, std::span<const std::uint8_t> payload, TimePoint now);
  void take_error(LinkJob& job, const Frame& frame, TimePoint now);
  void drop_connection(TimePoint now, const char* why);

  const std::shared_ptr<LinkSession> session_;
  const LinkOptions options_;
  const ProblemShape shape_;
  const JobId job_prefix_;
  std::uint64_t last_job_ = 0;
  AnswerChecker checker_;
  AlignedBuffer<std::int8_t> matrix_;  // dense_i8 only
  Jitter jitter_{1};
  std::deque<LinkJob> jobs_;  // by slot
  DataConnection data_;
  Wake wake_;
};

}  // namespace qama::hal::cim
