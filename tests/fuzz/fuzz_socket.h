// A client's socket to a server on loopback, for the fuzz targets that talk to one.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace qama::fuzz {

class Socket {
 public:
  Socket() = default;
  ~Socket() { close(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  [[nodiscard]] bool open() const { return fd_ >= 0; }
  bool connect(int port) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    set(TCP_NODELAY);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return true;
    if (errno != EINTR) return false;
    pollfd ready{fd_, POLLOUT, 0};
    int error = 0;
    socklen_t size = sizeof error;
    (void)again([&] { return ::poll(&ready, 1, -1); });
    return ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  }
  /// At once, so that the port is free again.
  void close() {
    if (fd_ < 0) return;
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(fd_);
    fd_ = -1;
  }
  void end_writing() const { ::shutdown(fd_, SHUT_WR); }
  bool send(const void* bytes, std::size_t size) {
    const ssize_t sent = again([&] { return ::send(fd_, bytes, size, MSG_NOSIGNAL); });
    return sent == static_cast<ssize_t>(size);
  }
  /// Appends what is there to `to`; false if the other end closes or says nothing for so long.
  template <typename Buffer>
  bool receive(Buffer& to, int patience_ms) {
    timed_out_ = false;
    if (fd_ < 0) return false;
    // A reply may come in two pieces; without this, the second waits for 40 ms.
    set(TCP_QUICKACK);
    pollfd ready{fd_, POLLIN, 0};
    timed_out_ = again([&] { return ::poll(&ready, 1, patience_ms); }) == 0;
    std::uint8_t chunk[4096];
    const ssize_t got = timed_out_ ? 0 : again([&] { return ::recv(fd_, chunk, sizeof chunk, 0); });
    if (got <= 0) return false;
    to.insert(to.end(), chunk, chunk + got);
    return true;
  }
  /// Whether the last receive() waited in vain.
  [[nodiscard]] bool timed_out() const { return timed_out_; }

 private:
  /// libFuzzer's alarm clock interrupts calls.
  template <typename Call>
  static std::invoke_result_t<Call> again(const Call& call) {
    while (true) {
      const auto got = call();
      if (got >= 0 || errno != EINTR) return got;
    }
  }
  void set(int option) const {
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, option, &one, sizeof one);
  }
  int fd_ = -1;
  bool timed_out_ = false;
};

}  // namespace qama::fuzz
