// One connection of a client: a socket, plain or TLS, and the bytes on their way. Nothing here
// blocks, nothing here knows what a frame means.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "hal/emulator/clock.h"
#include "hal/emulator/tls.h"
#include "hal/emulator/wire.h"

namespace qama::emulator {

class Connection {
 public:
  /// Takes `fd` over. Null if TLS cannot start; `tls` may be null.
  static std::unique_ptr<Connection> accept(std::uint64_t number, int fd, const TlsServer* tls);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Bytes read into `to`; 0: none now, or the connection broke. Shakes hands first.
  std::size_t receive(std::span<std::uint8_t> to);
  /// Sends what it can of `out`. The connection breaks if the client does not read, or when all is
  /// sent and it ends_when_sent.
  void flush();
  /// The TLS library holds bytes that epoll does not know of.
  [[nodiscard]] bool holds_bytes() const noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool encrypted() const noexcept { return ssl_ != nullptr; }
  [[nodiscard]] bool shaking() const noexcept { return shaking_; }
  [[nodiscard]] bool wants_write() const noexcept { return wants_write_; }
  void handshake_may_go_on() noexcept { wants_write_ = false; }
  [[nodiscard]] bool usable() const noexcept { return !broken && !ends_when_sent; }

  const std::uint64_t number;
  const Clock::time_point born = Clock::now();
  Bytes in, out;
  bool ends_when_sent = false;
  bool broken = false;  ///< to be closed
  bool paused = false;  ///< is not read for now
  Clock::time_point slow_until{};

  // What the protocol knows of it: its first frame says which kind it is.
  enum class Kind : std::uint8_t { unknown, control, data } kind = Kind::unknown;
  Id session{};
  std::size_t frame_limit = kUnknownPeerLimit;

 private:
  Connection(std::uint64_t n, int fd) : number(n), fd_(fd) {}
  bool shake_hands();
  std::size_t write(View bytes);

  int fd_;
  SSL* ssl_ = nullptr;
  bool shaking_ = false;      // TLS handshake under way
  bool wants_write_ = false;  // what epoll watches for
  std::size_t sent_ = 0;
};

}  // namespace qama::emulator
