#include "hal/cim/link_frames.h"

#include <cstring>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama::hal::cim {

FrameReader::FrameReader() : buffer_(2 * (kFrameHeaderBytes + kMaxReplyBytes)) {}

Stream::Outcome FrameReader::fill(Stream& stream) noexcept {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  std::size_t size = 0;
  const auto outcome = stream.receive(std::span(buffer_).subspan(end_), size);
  end_ += size;
  return outcome;
}

FrameReader::Next FrameReader::next(Frame& out) {
  const std::span<const std::uint8_t> have(buffer_.data() + begin_, end_ - begin_);
  if (have.size() < kFrameHeaderBytes) return Next::more;
  const auto header = decode_header(have, kMaxReplyBytes);
  if (!header.ok()) return Next::broken;
  if (have.size() < kFrameHeaderBytes + header->length) return Next::more;
  out.header = *header;
  out.payload = have.subspan(kFrameHeaderBytes, header->length);
  out.intact = payload_intact(*header, out.payload);
  begin_ += kFrameHeaderBytes + header->length;
  return Next::frame;
}

Error machine_error(LinkStatus status, const ErrorReply& reply) {
  return make_error(error_of(status), "the machine says ", link_status_name(status), ": ",
                    quote(reply.text));
}

Result<std::span<const std::uint8_t>> exchange(Stream& stream, FrameReader& reader,
                                               const SmallFrame& request, MessageType expected,
                                               TimePoint deadline) {
  if (stream.send_all(request.bytes(), deadline) != Stream::Outcome::ok)
    return Error{ErrorCode::device_lost, "the connection ended while asking"};
  Frame frame;
  while (true) {
    switch (reader.next(frame)) {
      case FrameReader::Next::broken:
        return Error{ErrorCode::device_protocol, "the machine's reply is not a frame of this link"};
      case FrameReader::Next::frame:
        if (!frame.intact)
          return Error{ErrorCode::device_protocol, "the machine's reply is damaged"};
        if (frame.header.type == MessageType::error) {
          QAMA_ASSIGN_OR_RETURN(const ErrorReply reply, ErrorReply::decode(frame.payload));
          return machine_error(frame.header.status, reply);
        }
        if (frame.header.type == expected) return frame.payload;
        if (LinkClock::now() >= deadline)
          return Error{ErrorCode::deadline_exceeded, "no reply to the question in time"};
        continue;
      case FrameReader::Next::more:
        break;
    }
    if (!stream.pending() && !wait_for(stream.fd(), false, -1, deadline))
      return Error{ErrorCode::deadline_exceeded, "no reply from the machine in time"};
    if (reader.fill(stream) == Stream::Outcome::closed)
      return Error{ErrorCode::device_lost, "the machine ended the connection while asked"};
  }
}

}  // namespace qama::hal::cim
