// Frames on a stream (PROTOCOL.md, "Frame"): one that goes out, those that come in, and the two
// together as a question with its reply. Memory is fixed; nothing allocates, except an error.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "hal/cim/link_codec.h"
#include "hal/cim/link_stream.h"

namespace qama::hal::cim {

/// A frame that came in. `payload` is valid until the reader's next fill().
struct Frame {
  FrameHeader header;
  std::span<const std::uint8_t> payload;
  bool intact = false;  ///< the payload's CRC is right
};

/// Cuts the bytes of one connection into frames.
class FrameReader {
 public:
  FrameReader();
  /// Forgets what came, for a new connection.
  void reset() noexcept { begin_ = end_ = 0; }
  /// Takes what the stream has now.
  Stream::Outcome fill(Stream& stream) noexcept;

  enum class Next : std::uint8_t {
    frame,   ///< `out` holds the next frame
    more,    ///< the next frame is not whole yet
    broken,  ///< the next bytes are no frame: the connection has to end
  };
  Next next(Frame& out);

 private:
  std::vector<std::uint8_t> buffer_;
  std::size_t begin_ = 0, end_ = 0;
};

/// A frame that goes out, of any message but SUBMIT.
class SmallFrame {
 public:
  template <typename Message>
  SmallFrame(std::uint64_t request, const Message& message) noexcept
      : size_(kFrameHeaderBytes + message.encode(std::span(bytes_).subspan(kFrameHeaderBytes))) {
    encode_header(Message::kType, request, bytes().subspan(kFrameHeaderBytes),
                  std::span(bytes_).first(kFrameHeaderBytes));
  }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept {
    return std::span(bytes_).first(size_);
  }

 private:
  std::array<std::uint8_t, 256> bytes_;
  std::size_t size_;
};

/// The error of an ERROR frame.
[[nodiscard]] Error machine_error(LinkStatus status, const ErrorReply& reply);

/// Sends a request and waits for the payload of its reply; other frames are skipped. DEVICE_LOST,
/// DEADLINE_EXCEEDED, DEVICE_PROTOCOL, or what the machine says.
[[nodiscard]] Result<std::span<const std::uint8_t>> exchange(Stream& stream, FrameReader& reader,
                                                             const SmallFrame& request,
                                                             MessageType expected,
                                                             TimePoint deadline);
/// exchange() for one kind of reply. For setting up a connection, not for jobs.
template <typename Reply, typename Request>
[[nodiscard]] Result<Reply> ask(Stream& stream, FrameReader& reader, std::uint64_t number,
                                const Request& request, TimePoint deadline) {
  QAMA_ASSIGN_OR_RETURN(const auto payload, exchange(stream, reader, SmallFrame(number, request),
                                                     Reply::kType, deadline));
  return Reply::decode(payload);
}

}  // namespace qama::hal::cim
