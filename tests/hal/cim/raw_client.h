// A client of the link that says exactly what a test wants, also what no driver would say: frames
// of the driver's codec over a socket of its own.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hal/cim/link_codec.h"
#include "tests/test_support.h"

namespace qama::test {

/// A frame that came, with its payload.
struct RawReply {
  hal::cim::FrameHeader header;
  std::vector<std::uint8_t> payload;
  [[nodiscard]] bool is(hal::cim::MessageType type) const { return header.type == type; }
  [[nodiscard]] hal::cim::LinkStatus status() const { return header.status; }
  /// An ERROR's sentence; empty for anything else.
  [[nodiscard]] std::string text() const {
    if (!is(hal::cim::MessageType::error)) return {};
    const auto reply = hal::cim::ErrorReply::decode(payload);
    return reply.ok() ? std::string(reply->text) : std::string();
  }
};

class RawClient {
 public:
  explicit RawClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~RawClient() { ::close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void send(hal::cim::MessageType type, std::uint64_t request,
            const std::vector<std::uint8_t>& payload) {
    std::vector<std::uint8_t> frame(hal::cim::kFrameHeaderBytes);
    hal::cim::encode_header(type, request, payload, frame);
    frame.insert(frame.end(), payload.begin(), payload.end());
    EXPECT_EQ(::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(frame.size()));
  }
  template <typename Message>
  void send(hal::cim::MessageType type, std::uint64_t request, const Message& message) {
    std::vector<std::uint8_t> payload(512);
    payload.resize(message.encode(payload));
    send(type, request, payload);
  }
  /// The next frame; nothing if the other end closes or says nothing for `patience_ms`.
  std::optional<RawReply> next(int patience_ms = 5000) {
    std::vector<std::uint8_t> head(hal::cim::kFrameHeaderBytes);
    if (!read(head, patience_ms)) return std::nullopt;
    const auto header = hal::cim::decode_header(head, hal::cim::kMaxReplyBytes);
    EXPECT_OK(header);
    if (!header.ok()) return std::nullopt;
    RawReply out{*header, std::vector<std::uint8_t>(header->length)};
    if (!read(out.payload, patience_ms)) return std::nullopt;
    return out;
  }
  /// Any bytes.
  void write(std::string_view bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  /// Whether there is something to read in that time.
  [[nodiscard]] bool hears(int patience_ms = 5000) const {
    pollfd ready{fd_, POLLIN, 0};
    return ::poll(&ready, 1, patience_ms) > 0;
  }
  /// All up to the other end's end; nothing if that is a reset or does not come in time.
  std::optional<std::string> read_to_end() {
    std::string out;
    char chunk[4096];
    while (hears()) {
      const ssize_t got = ::recv(fd_, chunk, sizeof chunk, 0);
      if (got < 0) return std::nullopt;
      if (got == 0) return out;
      out.append(chunk, static_cast<std::size_t>(got));
    }
    return std::nullopt;
  }
  /// Whether the other end closes within that time; what it sends before is skipped.
  bool closed_within(int milliseconds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    while (std::chrono::steady_clock::now() < until) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          until - std::chrono::steady_clock::now());
      pollfd ready{fd_, POLLIN, 0};
      if (::poll(&ready, 1, static_cast<int>(left.count()) + 1) <= 0) continue;
      std::uint8_t chunk[4096];
      if (::recv(fd_, chunk, sizeof chunk, 0) <= 0) return true;
    }
    return false;
  }
  /// HELLO and its answer.
  hal::cim::HelloAck hello() {
    hal::cim::Hello message;
    message.client[0] = 7;
    message.name = "test";
    send(hal::cim::MessageType::hello, 1, message);
    const auto reply = next();
    EXPECT_TRUE(reply && reply->is(hal::cim::MessageType::hello_ack));
    if (!reply) return {};
    auto ack = hal::cim::HelloAck::decode(reply->payload);
    EXPECT_OK(ack);
    if (!ack.ok()) return {};
    ack->name = {};  // it points into the payload
    return *ack;
  }
  /// ATTACH and its answer, whatever that is.
  std::optional<RawReply> attach(const hal::cim::HelloAck& session) {
    send(hal::cim::MessageType::attach, 2,
         hal::cim::Attach::of(session.version, session.token, session.epoch, {}));
    return next();
  }
  std::optional<RawReply> program(std::uint32_t id, const hal::ProblemShape& shape) {
    hal::cim::Program message;
    message.id = id;
    message.shape = shape;
    send(hal::cim::MessageType::program, 3, message);
    return next();
  }

 private:
  bool read(std::vector<std::uint8_t>& to, int patience_ms) {
    std::size_t have = 0;
    while (have < to.size()) {
      pollfd ready{fd_, POLLIN, 0};
      if (::poll(&ready, 1, patience_ms) <= 0) return false;
      const ssize_t got = ::recv(fd_, to.data() + have, to.size() - have, 0);
      if (got <= 0) return false;
      have += static_cast<std::size_t>(got);
    }
    return true;
  }

  int fd_;
};

}  // namespace qama::test
