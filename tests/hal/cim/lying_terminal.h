// A vendor's terminal that lies: a process of its own that answers each path with what a test
// wants, in pieces of its own choice.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <string>

#include "tests/hal/cim/loopback.h"
#include "tests/test_support.h"

namespace qama::test {

class LyingTerminal {
 public:
  /// Sends a piece of the reply; false once the client has hung up.
  using Send = std::function<bool(const std::string& bytes)>;
  /// The body of the reply to a path that begins so; the longest beginning counts.
  using Bodies = std::map<std::string, std::function<void(const Send& send)>>;

  explicit LyingTerminal(const Bodies& bodies) {
    const int listener = listen_on_loopback(port_);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(126);
      while (true) serve(::accept(listener, nullptr, nullptr), bodies);
    }
    ::close(listener);
  }
  ~LyingTerminal() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  LyingTerminal(const LyingTerminal&) = delete;
  LyingTerminal& operator=(const LyingTerminal&) = delete;
  [[nodiscard]] int port() const { return port_; }

 private:
  /// One request a connection.
  static void serve(int fd, const Bodies& bodies) {
    std::string request;
    char chunk[65536];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = ::recv(fd, chunk, sizeof chunk, 0);
      if (got <= 0) break;
      request.append(chunk, static_cast<std::size_t>(got));
    }
    const Send send = [fd](const std::string& bytes) {
      std::size_t at = 0;
      while (at < bytes.size()) {
        const ssize_t put = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
        if (put <= 0) return false;
        at += static_cast<std::size_t>(put);
      }
      return true;
    };
    const std::string path = request.substr(0, request.find(" HTTP")).substr(request.find('/'));
    (void)send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    for (auto at = bodies.rbegin(); at != bodies.rend(); ++at) {
      if (path.rfind(at->first, 0) != 0) continue;
      at->second(send);
      break;
    }
    ::shutdown(fd, SHUT_WR);
    // What the client still sends is taken, so that the reply is not lost with it.
    const timeval patience{0, 200000};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (::recv(fd, chunk, sizeof chunk, 0) > 0) {
    }
    ::close(fd);
  }

  pid_t pid_ = -1;
  int port_ = 0;
};

}  // namespace qama::test
