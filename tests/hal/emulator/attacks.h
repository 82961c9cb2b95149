// Peers that lie, each a process of its own, and the good client that has to be served meanwhile:
// for the tests and for bench/cim/lying_peers.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "hal/cim/link_codec.h"

namespace qama::test {

/// Where the emulator listens.
struct Target {
  int port = 0, http_port = 0;
};

/// A socket of an attacker. Nothing here expects anything: the other end may do what it wants.
class Peer {
 public:
  explicit Peer(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)!::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to);
    waits_at_most(std::chrono::seconds(1));
  }
  ~Peer() {
    if (fd_ >= 0) ::close(fd_);
  }
  Peer(Peer&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Peer& operator=(Peer&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  /// Who is not read from does not wait for ever.
  void waits_at_most(std::chrono::milliseconds time) {
    const timeval patience{time.count() / 1000, time.count() % 1000 * 1000};
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  /// Whether the other end has ended it.
  [[nodiscard]] bool gone() const {
    pollfd end{fd_, 0, 0};
    return fd_ < 0 || ::poll(&end, 1, 0) != 0;
  }

  bool send(const void* bytes, std::size_t size) {
    const ssize_t put = ::send(fd_, bytes, size, MSG_NOSIGNAL);
    return put == static_cast<ssize_t>(size);
  }
  bool send(const std::string& text) { return send(text.data(), text.size()); }
  template <typename Message>
  bool send_message(const Message& message) {
    std::vector<std::uint8_t> frame(hal::cim::kFrameHeaderBytes + 512);
    const std::size_t size = message.encode(std::span(frame).subspan(hal::cim::kFrameHeaderBytes));
    frame.resize(hal::cim::kFrameHeaderBytes + size);
    const auto all = std::span(frame);
    hal::cim::encode_header(Message::kType, 1, all.subspan(hal::cim::kFrameHeaderBytes),
                            all.first(hal::cim::kFrameHeaderBytes));
    return send(frame.data(), frame.size());
  }
  /// A header that promises `length` bytes, and `sent` of them.
  bool begin_frame(hal::cim::MessageType type, std::size_t length, std::size_t sent) {
    const std::vector<std::uint8_t> payload(length, 1);
    std::vector<std::uint8_t> frame(hal::cim::kFrameHeaderBytes);
    hal::cim::encode_header(type, 1, payload, frame);
    return send(frame.data(), frame.size()) && (sent == 0 || send(payload.data(), sent));
  }
  /// HELLO and its answer; an empty one if the machine refuses.
  hal::cim::HelloAck hello() {
    hal::cim::Hello message;
    message.name = "liar";
    std::vector<std::uint8_t> reply(hal::cim::kFrameHeaderBytes + hal::cim::kMaxReplyBytes);
    if (!send_message(message)) return {};
    const ssize_t got = ::recv(fd_, reply.data(), reply.size(), 0);
    if (got <= static_cast<ssize_t>(hal::cim::kFrameHeaderBytes)) return {};
    reply.resize(static_cast<std::size_t>(got));
    auto ack = hal::cim::HelloAck::decode(std::span(reply).subspan(hal::cim::kFrameHeaderBytes));
    if (!ack.ok()) return {};
    ack->name = {};  // it points into the reply
    return *ack;
  }
  void attach(const hal::cim::HelloAck& session) {
    (void)send_message(hal::cim::Attach::of(session.version, session.token, session.epoch, {}));
    std::uint8_t reply[256];
    (void)!::recv(fd_, reply, sizeof reply, 0);
  }
  std::string answer() {
    std::string out(65536, '\0');
    const ssize_t got = ::recv(fd_, out.data(), out.size(), 0);
    out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return out;
  }

 private:
  int fd_;
};

/// Runs attack(target) in a process of its own until the scope ends.
class Attacker {
 public:
  using Attack = std::function<void(const Target& target, const std::function<void()>& ready)>;

  Attacker(const Target& target, const Attack& attack) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(126);
      rlimit files{};
      ::getrlimit(RLIMIT_NOFILE, &files);
      files.rlim_cur = files.rlim_max;
      ::setrlimit(RLIMIT_NOFILE, &files);
      attack(target, [&] { (void)!::write(ends[1], "r", 1); });
      while (true) ::pause();
    }
    ::close(ends[1]);
    pollfd waits{ends[0], POLLIN, 0};
    char word = 0;  // nothing to be read: it ended without one
    ready_ = ::poll(&waits, 1, 60000) == 1 && ::read(ends[0], &word, 1) == 1;
    ::close(ends[0]);
  }
  ~Attacker() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Attacker(const Attacker&) = delete;
  Attacker& operator=(const Attacker&) = delete;
  /// Whether the attack is in place.
  [[nodiscard]] bool ready() const { return ready_; }

 private:
  pid_t pid_ = -1;
  bool ready_ = false;
};

/// The attacks. `count`: connections of a flood.
struct NamedAttack {
  const char* name;
  Attacker::Attack run;
  bool tls = false;   ///< against the port with TLS
  bool http = false;  ///< against the vendor's HTTP paths
};

inline std::vector<NamedAttack> all_attacks(std::size_t count) {
  using hal::cim::MessageType;
  using Ready = std::function<void()>;
  const auto hold = [](std::size_t n, int Target::*port, auto begin) {
    return [=](const Target& target, const Ready& ready) {
      std::vector<Peer> peers;
      for (std::size_t i = 0; i < n; ++i) {
        peers.emplace_back(target.*port);
        begin(peers.back());
      }
      ready();
      while (true) ::pause();
    };
  };
  // `count` connections that are kept, and then the oldest again and again.
  const auto flood = [count](int Target::*port) {
    return [=](const Target& target, const Ready& ready) {
      std::vector<Peer> peers;
      ready();
      while (peers.size() < count) peers.emplace_back(target.*port);
      while (true) {
        for (Peer& peer : peers) peer = Peer(target.*port);
      }
    };
  };
  const auto nested = [](std::size_t bytes) {
    return [bytes](const Target& target, const Ready& ready) {
      ready();
      while (true) {
        Peer peer(target.http_port);
        peer.send("POST /kdev/terminal/login/ HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                  std::to_string(bytes) + "\r\n\r\n");
        peer.send(std::string(bytes, '['));
        (void)peer.answer();
        ::usleep(20000);
      }
    };
  };
  std::vector<NamedAttack> out;
  out.push_back({"HELLO, 255 ATTACH, GOODBYE", [](const Target& target, const Ready& ready) {
                   std::vector<Peer> peers;
                   peers.emplace_back(target.port);
                   const auto session = peers[0].hello();
                   for (int i = 0; i < 255; ++i) {
                     peers.emplace_back(target.port);
                     peers.back().attach(session);
                   }
                   (void)peers[0].send_message(hal::cim::Goodbye{});
                   ready();
                   while (true) ::pause();
                 }});
  out.push_back({"300 half-open", hold(300, &Target::port, [](Peer& p) { p.send("QC", 2); })});
  out.push_back({"connections without a word", flood(&Target::port)});
  out.push_back({"connections, each a new one", [](const Target& target, const Ready& ready) {
                   ready();
                   while (true) Peer(target.port).send("x", 1);
                 }});
  out.push_back({"62 sessions", hold(62, &Target::port, [](Peer& p) { (void)p.hello(); })});
  out.push_back({"HELLO without end", [](const Target& target, const Ready& ready) {
                   ready();
                   while (true) (void)Peer(target.port).hello();
                 }});
  out.push_back({"a byte a second", [](const Target& target, const Ready& ready) {
                   std::vector<Peer> peers;
                   for (int i = 0; i < 100; ++i) peers.emplace_back(target.port);
                   ready();
                   while (true) {
                     for (Peer& peer : peers) peer.send("Q", 1);
                     ::sleep(1);
                   }
                 }});
  out.push_back({"problems that never end", [](const Target& target, const Ready& ready) {
                   std::vector<Peer> peers;
                   for (int s = 0; s < 4; ++s) {
                     peers.emplace_back(target.port);
                     const auto session = peers.back().hello();
                     for (int i = 0; i < 60; ++i) {
                       peers.emplace_back(target.port);
                       peers.back().attach(session);
                       peers.back().begin_frame(MessageType::submit, 150000, 149999);
                     }
                   }
                   ready();
                   while (true) ::pause();
                 }});
  out.push_back({"replies that nobody reads", [](const Target& target, const Ready& ready) {
                   std::vector<Peer> peers;
                   for (int s = 0; s < 30; ++s) {
                     peers.emplace_back(target.port);
                     (void)peers.back().hello();
                   }
                   ready();
                   while (true) {
                     for (Peer& peer : peers) {
                       peer.waits_at_most(std::chrono::milliseconds(10));
                       for (int i = 0; i < 20000; ++i) {
                         if (!peer.send_message(hal::cim::Ping{1})) break;
                       }
                       if (!peer.gone()) continue;
                       peer = Peer(target.port);
                       (void)peer.hello();
                     }
                   }
                 }});
  out.push_back({"TLS handshakes begun and left",
                 hold(300, &Target::port,
                      [](Peer& p) {
                        // The head of a record of TLS that promises 512 bytes, and a few of them.
                        p.send(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
                      }),
                 true});
  out.push_back(
      {"40 idle HTTP connections", hold(40, &Target::http_port, [](Peer&) {}), false, true});
  out.push_back({"HTTP, a byte a second",
                 [](const Target& target, const Ready& ready) {
                   std::vector<Peer> peers;
                   for (int i = 0; i < 100; ++i) peers.emplace_back(target.http_port);
                   ready();
                   const std::string text = "GET /kdev/terminal/machine/ HTTP/1.1\r\nX: ";
                   for (std::size_t at = 0;; ++at) {
                     for (Peer& peer : peers) peer.send(at < text.size() ? &text[at] : "x", 1);
                     ::sleep(1);
                   }
                 },
                 false, true});
  out.push_back({"HTTP connections without a word", flood(&Target::http_port), false, true});
  out.push_back({"1 MB of [ before login", nested(1U << 20), false, true});
  out.push_back({"60 MB of [ before login", nested(60U << 20), false, true});
  return out;
}

/// The most memory that a process has had, in MB; 0 if nobody knows.
inline double peak_megabytes(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  while (status >> word) {
    double kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes / 1024;
  }
  return 0;
}

}  // namespace qama::test
