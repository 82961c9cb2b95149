// One connection of a client: a socket, plain or TLS, and the bytes on their way. Nothing here
// blocks, nothing here knows what a frame means.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "hal/network/tls_server.h"

namespace qama::network {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;
using Clock = std::chrono::steady_clock;

/// Where a connection comes from: an IPv6 address, or an IPv4 one as IPv6 writes it; zeros for a
/// Unix socket.
using PeerAddress = std::array<std::uint8_t, 16>;

class Connection {
 public:
  /// Takes `fd` over. Null if TLS cannot start; `tls` may be null.
  static std::unique_ptr<Connection> accept(std::uint64_t number, int fd, const PeerAddress& peer,
                                            const platform::TlsContext* tls);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Bytes read into `to`; 0: none now, or the connection broke. Shakes hands first.
  std::size_t receive(std::span<std::uint8_t> to);
  /// Sends what it can of `out`. The connection breaks if the client does not read. When all is
  /// sent and it ends_when_sent, it hangs up.
  void flush();
  /// For one that has hung up: drops bytes that came, with `room` for them. It breaks once the
  /// client has hung up, too. If bytes lay unread when the socket is closed, the system would reset
  /// the connection, and a client that writes before it reads would never read the last words.
  void drop_what_comes(std::span<std::uint8_t> room);
  /// The TLS library holds bytes that epoll does not know of.
  [[nodiscard]] bool holds_bytes() const noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool encrypted() const noexcept { return ssl_ != nullptr; }
  [[nodiscard]] bool shaking() const noexcept { return shaking_; }
  /// Nothing more is said, and nothing is heard.
  [[nodiscard]] bool hung_up() const noexcept { return hung_up_; }
  /// Its place is anybody's who needs it.
  [[nodiscard]] bool gives_way() const noexcept { return kind == Kind::unknown || hung_up_; }
  [[nodiscard]] bool wants_write() const noexcept { return wants_write_; }
  void handshake_may_go_on() noexcept { wants_write_ = false; }
  [[nodiscard]] bool usable() const noexcept { return !broken && !ends_when_sent; }

  /// The TLS connection; null on plain TCP.
  [[nodiscard]] SSL* tls() const noexcept { return ssl_; }
  /// What only the two ends of this TLS connection know, for the purpose that `label` names; zeros
  /// on plain TCP.
  [[nodiscard]] std::array<std::uint8_t, 32> binding(std::string_view label) const noexcept;
  /// Bytes of memory for what is under way.
  [[nodiscard]] std::size_t held() const noexcept { return in.capacity() + out.capacity(); }
  /// So much is unsent that nothing more is read: whoever does not take replies asks no more.
  [[nodiscard]] bool stuffed() const noexcept { return out.size() - sent_ > kStuffedBytes; }
  /// A message has begun and is not whole, or bytes are not sent.
  [[nodiscard]] bool unfinished() const noexcept { return !in.empty() || !out.empty(); }
  /// Gives back the memory of buffers that are empty.
  void trim() noexcept {
    if (in.empty()) Bytes().swap(in);
    if (out.empty()) Bytes().swap(out);
  }

  const std::uint64_t number;
  const PeerAddress peer;
  const Clock::time_point born = Clock::now();
  /// The last time that a message began or was whole, that bytes were sent, or that it hung up.
  Clock::time_point moved = born;
  Bytes in, out;
  bool ends_when_sent = false;  ///< is not read any more
  bool broken = false;          ///< to be closed
  bool paused = false;          ///< is not read for now
  std::uint32_t watched = 0;    ///< what epoll looks for
  Clock::time_point slow_until{};

  // What the protocol knows of it: its first message says which kind it is. HTTP knows data only.
  enum class Kind : std::uint8_t { unknown, control, data } kind = Kind::unknown;
  std::array<std::uint8_t, 16> session{};
  std::size_t frame_limit = 0;  ///< 0: that of a peer that is not known yet

 private:
  static constexpr std::size_t kStuffedBytes = 64U << 10;

  Connection(std::uint64_t n, int fd, const PeerAddress& from) : number(n), peer(from), fd_(fd) {}
  bool shake_hands();
  void hang_up();
  std::size_t write(View bytes);

  int fd_;
  SSL* ssl_ = nullptr;
  bool shaking_ = false;      // TLS handshake under way
  bool hung_up_ = false;      // all is said; the client still has to read it
  bool wants_write_ = false;  // what epoll watches for
  std::size_t sent_ = 0;
};

}  // namespace qama::network
