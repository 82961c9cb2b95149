// A connection to a machine: TCP, plain on loopback only, else TLS 1.3 with certificates of both
// ends or a pre-shared key. Non-blocking underneath; every call has a deadline. No secret ever
// enters an error's text.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "hal/cim/clock.h"
#include "hal/cim/link_codec.h"
#include "hal/platform/tls_keys.h"

namespace qama::hal::cim {

/// Where to connect and how.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;
  platform::TlsFiles files;  ///< for TLS
};

/// What all connections to one endpoint share; immutable.
class StreamFactory {
 public:
  ~StreamFactory();
  /// DEVICE_AUTH for plain TCP off loopback, TLS without credentials, a key file that others than
  /// its owner may use, or a key of another certificate; IO_ERROR for files that cannot be used.
  [[nodiscard]] static Result<std::shared_ptr<StreamFactory>> create(const Endpoint& endpoint);
  struct Impl;
  std::unique_ptr<Impl> impl_;  // for Stream
};

/// One connection. One thread at a time. Sending and receiving do not allocate.
class Stream {
 public:
  Stream() = default;
  ~Stream();
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;

  /// Connects and shakes hands. DEVICE_UNAVAILABLE, DEVICE_AUTH (refused certificate or key),
  /// DEADLINE_EXCEEDED.
  [[nodiscard]] static Result<Stream> connect(const StreamFactory& factory, TimePoint deadline);

  [[nodiscard]] bool open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  void close() noexcept;
  /// What only the two ends of this TLS connection know (RFC 8446, 7.5); zeros on plain TCP.
  [[nodiscard]] ChannelBinding binding() const noexcept;
  /// True if bytes are at hand that poll() on fd() does not show (TLS).
  [[nodiscard]] bool pending() const noexcept;

  enum class Outcome : std::uint8_t { ok, none, closed };
  /// All of `bytes`; closed on an error or at the deadline.
  Outcome send_all(std::span<const std::uint8_t> bytes, TimePoint deadline) noexcept;
  /// Why the machine ended TLS, if it said so, e.g. that this end's certificate has expired; empty
  /// else.
  [[nodiscard]] std::string_view refused_because() const noexcept { return refused_; }
  /// What is there now: ok and `size` > 0, none, or closed.
  Outcome receive(std::span<std::uint8_t> to, std::size_t& size) noexcept;

 private:
  int fd_ = -1;
  void* ssl_ = nullptr;  // SSL*
  std::string_view refused_;
};

/// Waits until `fd` can be read (or written), or `wake_fd` (-1: none) can be read; false after the
/// deadline, even if it can: who sends a byte now and then keeps nobody longer.
bool wait_for(int fd, bool writing, int wake_fd, TimePoint deadline) noexcept;

/// Ends a wait_for() of another thread, through `wake_fd`.
class Wake {
 public:
  Wake() noexcept;
  ~Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;
  void ring() noexcept;
  void clear() noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace qama::hal::cim
