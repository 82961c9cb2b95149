// The session with a machine (PROTOCOL.md, "Connections"): the control connection, its heartbeat,
// and the thread that says HELLO again after the machine was away. Solvers share one session; each
// has a data connection of its own (link_data.h).
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "hal/cim/link_frames.h"
#include "hal/device.h"
#include "hal/platform/thread.h"

namespace qama::hal::cim {

/// 16 random bytes, for ids that nobody may guess or repeat.
[[nodiscard]] JobId random_id();

/// What the machine grants a session: jobs and payload bytes without a reply. Thread-safe.
class Credit {
 public:
  void grant(std::size_t jobs, std::size_t bytes) noexcept;
  /// False, and nothing is taken, if a job of `bytes` would exceed the grant.
  [[nodiscard]] bool take(std::size_t bytes) noexcept;
  void give_back(std::size_t bytes) noexcept;

 private:
  std::size_t most_jobs_ = 0, most_bytes_ = 0;  // fixed after grant()
  std::atomic<std::size_t> jobs_{0}, bytes_{0};
};

/// Thread-safe.
class LinkSession {
 public:
  /// Connects, says HELLO and starts the thread that keeps the session up. `uri` is for messages.
  /// DEVICE_UNAVAILABLE, DEVICE_AUTH, DEVICE_PROTOCOL, DEADLINE_EXCEEDED.
  [[nodiscard]] static Result<std::shared_ptr<LinkSession>> open(const Endpoint& endpoint,
                                                                 std::string uri);
  /// Says GOODBYE.
  ~LinkSession();
  LinkSession(const LinkSession&) = delete;
  LinkSession& operator=(const LinkSession&) = delete;

  /// What HELLO_ACK said. All but token, epoch and version stay the same when the machine comes
  /// back.
  [[nodiscard]] const HelloAck& capabilities() const noexcept { return capabilities_; }
  [[nodiscard]] const std::string& uri() const noexcept { return uri_; }
  [[nodiscard]] const StreamFactory& streams() const noexcept { return *streams_; }
  [[nodiscard]] Credit& credit() noexcept { return credit_; }
  [[nodiscard]] std::uint32_t new_program_id() noexcept { return ++last_program_; }

  /// A ping of its own, so that the round trip is of now.
  [[nodiscard]] DeviceHealth probe();

  /// What ATTACH needs. A session that the machine forgot is followed by one of the next
  /// generation.
  struct Ticket {
    std::uint64_t generation = 0;
    JobId token{};
    std::uint64_t epoch = 0;
    std::uint16_t version = 1;
  };
  /// The session, if its generation is at least `generation`. One that just went down is waited
  /// for, for a moment. DEVICE_UNAVAILABLE if the link stays down.
  [[nodiscard]] Result<Ticket> ticket(std::uint64_t generation, TimePoint deadline);
  /// The machine forgot the session of this generation: HELLO is said again.
  void renew(std::uint64_t generation);

  /// CANCEL, if the link is up; the reply is not waited for.
  void send_cancel(const JobId& job) noexcept;
  /// FAULT. UNSUPPORTED if the machine does not offer it, DEVICE_LOST if the link is down.
  Status send_fault(const Fault& fault);

 private:
  explicit LinkSession(std::string uri) : uri_(std::move(uri)) {}
  Status say_hello(TimePoint deadline);
  void keep_up();
  void reconnect();
  void beat();
  // Both mutexes held:
  void read_control();
  void take(const Frame& frame);
  void mark_down(std::string why);  // mutex_ is enough
  /// Half of what the machine asks for, so that a late ping is no lost session.
  [[nodiscard]] std::chrono::milliseconds heartbeat() const noexcept {
    return std::chrono::milliseconds(std::max<std::uint32_t>(capabilities_.heartbeat_ms / 2, 1));
  }
  template <typename Message>
  Stream::Outcome send(const Message& message, std::chrono::milliseconds patience) noexcept;

  const std::string uri_;
  Endpoint endpoint_;
  std::shared_ptr<StreamFactory> streams_;
  HelloAck capabilities_;  // fixed after open(), but token, epoch and version (mutex_)
  std::string name_;
  JobId client_{};
  Credit credit_;
  std::atomic<std::uint64_t> last_request_{0};
  std::atomic<std::uint32_t> last_program_{0};

  std::mutex mutex_;
  std::condition_variable changed_;
  bool up_ = false, stopping_ = false, ping_now_ = false;
  std::uint64_t generation_ = 0, pongs_ = 0;
  std::size_t waiting_ = 0;
  std::uint8_t state_ = 0;
  double round_trip_us_ = 0;
  TimePoint heard_{}, down_since_{};
  std::string last_error_;

  std::mutex io_mutex_;  // the control connection; taken before mutex_
  Stream control_;
  FrameReader reader_;
  Wake wake_;

  // Of the thread alone.
  std::chrono::microseconds back_off_{};
  TimePoint next_ping_{};
  Jitter jitter_{12345};
  platform::Thread thread_;
};

}  // namespace qama::hal::cim
