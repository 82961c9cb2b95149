// A model at work: a queue of requests, threads that answer them, and a desk for each thread: a
// session on a shared plan. A thread takes a free desk and what waits, up to a batch, and waits for
// more no longer than it was told. Where nothing waits, a short request may be answered on the
// thread that brings it. What a sample's answer is depends on none of that.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "hal/platform/thread.h"
#include "runtime/api/sample.h"
#include "runtime/engine/session.h"
#include "runtime/serve/metrics.h"
#include "runtime/serve/protocol.h"

namespace qama::serve {

using Clock = std::chrono::steady_clock;

/// A request on its way. Whoever holds it owns it.
struct Ticket {
  std::uint64_t number = 0;
  std::uint64_t connection = 0;
  std::string body, content_type, header_length, sample_index, timeout;
  Clock::time_point arrived = Clock::now();
  Clock::time_point deadline = Clock::time_point::max();

  std::unique_ptr<Ticket> next;  ///< in a list, so that answering needs no memory

  // The answer; without a body there was no memory for one.
  int status = 0;  ///< of HTTP
  InferReply reply;
};

struct ModelOptions {
  runtime::SessionOptions session;  ///< of each desk; `threads` and `max_batch` are below
  std::int32_t threads = 1;
  std::int32_t batch = 1;  ///< samples of different requests that a thread runs together
  std::chrono::microseconds batch_wait{0};  ///< for a batch to fill, after its first request
  std::size_t queue = 256;                  ///< requests that wait at most
  std::size_t queue_bytes = std::size_t{64} << 20;  ///< of their bodies
  /// Whether answer_here() may answer. The device has to work on the calling thread: one that waits
  /// for a machine would hold up the thread that brings the requests.
  bool here = false;
};

class ServedModel {
 public:
  using Done = std::function<void(std::unique_ptr<Ticket>)>;

  /// The model's and the session's errors; OUT_OF_MEMORY. `done` is called on the threads here and
  /// must not throw.
  [[nodiscard]] static Result<std::shared_ptr<ServedModel>> create(
      std::string name, std::shared_ptr<const runtime::Model> model, const ModelOptions& options,
      std::shared_ptr<ModelMetrics> metrics, Done done);
  /// Answers what waits, then ends.
  ~ServedModel();
  ServedModel(const ServedModel&) = delete;
  ServedModel& operator=(const ServedModel&) = delete;

  /// False, and the ticket stays the caller's, if the queue is full.
  [[nodiscard]] bool offer(std::unique_ptr<Ticket>& ticket);
  /// Answers on the calling thread, which saves waking two others. False, and the ticket is as it
  /// was, if something waits, no desk is free, or the answer may take longer than kShort. Where
  /// more requests are about to come (not `last`), other threads begin with them meanwhile.
  [[nodiscard]] bool answer_here(Ticket& ticket, bool last);
  /// Answers what waits; nothing may be offered any more.
  void close();
  /// Whether all is answered after close().
  [[nodiscard]] bool finished() const;
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] const runtime::Model& model() const noexcept { return *model_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const runtime::Session& session() const noexcept { return *desks_[0].session; }

 private:
  static constexpr std::chrono::nanoseconds kShort{1'000'000};
  struct Hand {
    platform::Thread thread;
    std::vector<std::unique_ptr<Ticket>> tickets;  // room for a batch
    std::vector<Ticket*> at;
  };
  struct Desk {
    std::unique_ptr<runtime::Session> session;
    std::optional<runtime::SampleReader> reader;
  };
  struct Prepared;

  ServedModel(std::string name, std::shared_ptr<const runtime::Model> model,
              const ModelOptions& options, std::shared_ptr<ModelMetrics> metrics, Done done);
  void work(Hand& hand);
  [[nodiscard]] Desk* take(Hand& hand);
  void give_back(Desk& desk);
  void answer(Desk& desk, std::span<Ticket* const> tickets) noexcept;
  void answer_all(Desk& desk, std::span<Ticket* const> tickets);
  void run(Desk& desk, std::vector<Prepared>& prepared);
  void run_chunk(Desk& desk, std::vector<Prepared>& prepared, std::size_t first, std::size_t count);
  void refuse(Ticket& ticket, const Error& error);

  const std::string name_;
  const std::shared_ptr<const runtime::Model> model_;
  const ModelOptions options_;
  const std::shared_ptr<ModelMetrics> metrics_;
  const Done done_;
  std::vector<Desk> desks_;
  std::vector<std::unique_ptr<Hand>> hands_;
  std::size_t short_body_ = 0;  // bytes, of some samples
  // What a short body took lately, its decoding included. The first one goes to a thread.
  std::atomic<std::int64_t> short_ns_{kShort.count()};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Ticket>> queue_;
  std::size_t queued_bytes_ = 0;
  std::vector<Desk*> free_;  // the other desks have tickets on them
  bool closed_ = false;
};

}  // namespace qama::serve
