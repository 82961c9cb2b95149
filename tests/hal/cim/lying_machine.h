// A machine of the link that answers a job with what a test wants. Its limits are the test's, too.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "hal/cim/link_codec.h"
#include "tests/hal/cim/loopback.h"
#include "tests/test_support.h"

namespace qama::test {

class LyingMachine {
 public:
  /// Every SUBMIT gets an ERROR with this status.
  explicit LyingMachine(hal::cim::LinkStatus status, std::uint32_t max_frame = 1U << 20,
                        std::uint32_t credit_bytes = 1U << 20)
      : status_(status), max_frame_(max_frame), credit_bytes_(credit_bytes) {
    listener_ = listen_on_loopback(port_);
    acceptor_ = std::thread([this] {
      for (int fd = 0; (fd = ::accept(listener_, nullptr, nullptr)) >= 0;) {
        fds_.push_back(fd);
        clients_.emplace_back([this, fd] { serve(fd); });
      }
    });
  }
  ~LyingMachine() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (const int fd : fds_) ::shutdown(fd, SHUT_RDWR);
    for (std::thread& client : clients_) client.join();
    for (const int fd : fds_) ::close(fd);
    ::close(listener_);
  }
  LyingMachine(const LyingMachine&) = delete;
  LyingMachine& operator=(const LyingMachine&) = delete;

  [[nodiscard]] std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] int jobs() const { return jobs_; }

 private:
  using Bytes = std::vector<std::uint8_t>;

  static void put(Bytes& to, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i)
      to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  static bool take(int fd, std::uint8_t* to, std::size_t size) {
    return size == 0 || ::recv(fd, to, size, MSG_WAITALL) == static_cast<ssize_t>(size);
  }
  static void reply(int fd, hal::cim::MessageType type, std::uint64_t request, const Bytes& payload,
                    hal::cim::LinkStatus status = hal::cim::LinkStatus::ok) {
    Bytes frame(hal::cim::kFrameHeaderBytes);
    hal::cim::encode_header(type, request, payload, frame);
    frame[6] = static_cast<std::uint8_t>(status);
    const std::uint32_t crc = hal::cim::crc32c(std::span(frame).first(28));
    for (std::size_t i = 0; i < 4; ++i) frame[28 + i] = static_cast<std::uint8_t>(crc >> (8 * i));
    frame.insert(frame.end(), payload.begin(), payload.end());
    (void)!::send(fd, frame.data(), frame.size(), MSG_NOSIGNAL);
  }
  [[nodiscard]] Bytes hello_ack() const {
    Bytes out;
    put(out, 1, 2);  // version
    put(out, 1, 2);  // emulated
    put(out, max_frame_, 4);
    put(out, kEpoch, 8);
    put(out, 7, 16);  // token
    put(out, 550, 4);
    put(out, 8, 1);
    put(out, 3, 1);
    put(out, 100, 2);
    put(out, 16, 2);  // jobs
    put(out, 16, 2);  // programs
    put(out, credit_bytes_, 4);
    for (const int ms : {1000, 10000, 1, 1, 60000}) put(out, static_cast<std::uint64_t>(ms), 4);
    put(out, 0, 1);
    out.resize(out.size() + 18);
    put(out, 0, 1);
    return out;
  }
  void serve(int fd) {
    using hal::cim::MessageType;
    Bytes head(hal::cim::kFrameHeaderBytes);
    while (take(fd, head.data(), head.size())) {
      std::uint32_t length = 0;
      std::uint64_t request = 0;
      std::memcpy(&length, head.data() + 8, 4);
      std::memcpy(&request, head.data() + 16, 8);
      Bytes payload(length), out;
      if (!take(fd, payload.data(), length)) return;
      switch (static_cast<MessageType>(head[5])) {
        case MessageType::hello:
          reply(fd, MessageType::hello_ack, request, hello_ack());
          break;
        case MessageType::attach:
          put(out, kEpoch, 8);
          reply(fd, MessageType::attach_ack, request, out);
          break;
        case MessageType::ping:
          out = payload;
          put(out, kEpoch, 8);
          put(out, 0, 8);
          reply(fd, MessageType::pong, request, out);
          break;
        case MessageType::program:
          out.assign(payload.begin(), payload.begin() + 4);
          put(out, 0, 12);
          reply(fd, MessageType::program_ack, request, out);
          break;
        case MessageType::submit:
          ++jobs_;
          out.assign(payload.begin(), payload.begin() + 16);
          put(out, kEpoch, 8);
          put(out, 0, 6);
          reply(fd, MessageType::error, request, out, status_);
          break;
        default:
          break;
      }
    }
  }

  static constexpr std::uint64_t kEpoch = 5;
  const hal::cim::LinkStatus status_;
  const std::uint32_t max_frame_, credit_bytes_;
  std::atomic<int> jobs_{0};
  int listener_ = -1;
  int port_ = 0;
  std::vector<int> fds_;
  std::vector<std::thread> clients_;
  std::thread acceptor_;
};

}  // namespace qama::test
