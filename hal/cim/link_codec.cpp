#include "hal/cim/link_codec.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "hal/base/sentence.h"
#include "hal/base/valid_utf8.h"
#include "hal/platform/sha256.h"

namespace qama::hal::cim {
namespace {

constexpr std::array<std::uint8_t, 4> kMagic = {0x51, 0x43, 0x49, 0x4D};

template <typename... Parts>
Error protocol_error(const Parts&... parts) {
  return make_error(ErrorCode::device_protocol, parts...);
}

// Bytes are put together by shifts: right on every target, and one move where it is little-endian.
class Writer {
 public:
  explicit Writer(std::span<std::uint8_t> out) noexcept : out_(out) {}
  /// `value` as the wire's number `Wire`.
  template <typename Wire, typename T>
  void number(T value) noexcept {
    const auto bits = static_cast<std::make_unsigned_t<Wire>>(value);
    for (std::size_t i = 0; i < sizeof(Wire); ++i) {
      out_[size_++] = static_cast<std::uint8_t>(bits >> (8 * i));
    }
  }
  void bytes(std::span<const std::uint8_t> from) noexcept {
    std::copy(from.begin(), from.end(), out_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += from.size();
  }
  void zeros(std::size_t count) noexcept {
    std::fill_n(out_.begin() + static_cast<std::ptrdiff_t>(size_), count, std::uint8_t{0});
    size_ += count;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::span<std::uint8_t> out_;
  std::size_t size_ = 0;
};

// Reads behind the end give 0 and are remembered; finish() tells.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> from) noexcept : from_(from) {}
  /// The wire's number `Wire`.
  template <typename Wire, typename T>
  void number(T& out) noexcept {
    std::uint64_t bits = 0;
    const auto got = bytes(sizeof(Wire));
    for (std::size_t i = 0; i < got.size(); ++i) bits |= std::uint64_t{got[i]} << (8 * i);
    out = static_cast<Wire>(bits);
  }
  void id(JobId& out) noexcept {
    const auto got = bytes(out.size());
    if (got.size() == out.size()) std::copy(got.begin(), got.end(), out.begin());
  }
  void reserved(std::size_t count) noexcept {
    for (const std::uint8_t byte : bytes(count)) dirty_ = dirty_ || byte != 0;
  }
  std::span<const std::uint8_t> bytes(std::size_t count) noexcept {
    if (from_.size() - at_ < count) {
      short_ = true;
      return {};
    }
    at_ += count;
    return from_.subspan(at_ - count, count);
  }
  [[nodiscard]] Status finish(const char* what) const {
    if (short_ || at_ != from_.size()) {
      return protocol_error(what, ": a payload of ", from_.size(), " bytes, expected ",
                            short_ ? "more" : std::to_string(at_));
    }
    if (dirty_) return protocol_error(what, ": a reserved byte is not 0");
    return {};
  }

 private:
  std::span<const std::uint8_t> from_;
  std::size_t at_ = 0;
  bool short_ = false;
  bool dirty_ = false;
};

std::string_view as_text(std::span<const std::uint8_t> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string_view link_status_name(LinkStatus status) noexcept {
  constexpr std::array<std::string_view, 17> kNames = {
      "OK",        "BAD_CRC",         "BAD_FRAME", "VERSION",    "TOO_LARGE",
      "BAD_VALUE", "UNKNOWN_PROGRAM", "CONFLICT",  "QUEUE_FULL", "CALIBRATING",
      "DEADLINE",  "CANCELLED",       "LOST",      "AUTH",       "NO_SESSION",
      "INTERNAL",  "CREDIT"};
  const auto number = static_cast<std::size_t>(status);
  return number < kNames.size() ? kNames[number] : "UNKNOWN";
}

ErrorCode error_of(LinkStatus status) noexcept {
  switch (status) {
    case LinkStatus::ok:
      return ErrorCode::ok;
    case LinkStatus::too_large:
      return ErrorCode::problem_too_large;
    case LinkStatus::bad_value:
      return ErrorCode::problem_bad_value;
    case LinkStatus::queue_full:
    case LinkStatus::calibrating:
    case LinkStatus::credit:
      return ErrorCode::device_busy;
    case LinkStatus::deadline:
      return ErrorCode::deadline_exceeded;
    case LinkStatus::cancelled:
      return ErrorCode::cancelled;
    case LinkStatus::lost:
    case LinkStatus::no_session:
      return ErrorCode::device_lost;
    case LinkStatus::auth:
      return ErrorCode::device_auth;
    default:
      return ErrorCode::device_protocol;
  }
}

std::uint32_t crc32c(std::span<const std::uint8_t> bytes) noexcept {
  if (bytes.empty()) return 0;
  // isa-l's function reads only, although it does not say const; it leaves both inversions to us.
  return ~crc32_iscsi(const_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()),
                      ~0U);
}

void encode_header(MessageType type, std::uint64_t request, std::span<const std::uint8_t> payload,
                   std::span<std::uint8_t> out) noexcept {
  Writer w(out);
  w.bytes(kMagic);
  w.number<std::uint8_t>(kFrameVersion);
  w.number<std::uint8_t>(type);
  w.number<std::uint16_t>(0);
  w.number<std::uint32_t>(payload.size());
  w.number<std::uint32_t>(0);
  w.number<std::uint64_t>(request);
  w.number<std::uint32_t>(crc32c(payload));
  w.number<std::uint32_t>(crc32c(out.first(w.size())));
}

Result<FrameHeader> decode_header(std::span<const std::uint8_t> bytes, std::size_t max_length) {
  if (bytes.size() < kFrameHeaderBytes) {
    return protocol_error("a frame header of ", bytes.size(), " bytes, expected 32");
  }
  Reader r(bytes.first(kFrameHeaderBytes));
  const auto magic = r.bytes(4);
  std::uint8_t version = 0;
  std::uint8_t type = 0;
  std::uint16_t status = 0;
  std::uint32_t reserved = 0;
  std::uint32_t header_crc = 0;
  FrameHeader header;
  r.number<std::uint8_t>(version);
  r.number<std::uint8_t>(type);
  r.number<std::uint16_t>(status);
  r.number<std::uint32_t>(header.length);
  r.number<std::uint32_t>(reserved);
  r.number<std::uint64_t>(header.request);
  r.number<std::uint32_t>(header.payload_crc);
  r.number<std::uint32_t>(header_crc);
  if (header_crc != crc32c(bytes.first(28))) {
    return protocol_error("a frame header is damaged: its CRC does not match");
  }
  if (!std::equal(magic.begin(), magic.end(), kMagic.begin())) {
    return protocol_error("a frame does not start with the link's magic number");
  }
  if (version != kFrameVersion) {
    return protocol_error("a frame of protocol version ", version, ", expected ", kFrameVersion);
  }
  if (reserved != 0) return protocol_error("a reserved byte of a frame header is not 0");
  if (type < static_cast<std::uint8_t>(MessageType::hello) ||
      type > static_cast<std::uint8_t>(MessageType::goodbye)) {
    return protocol_error("a frame of unknown type ", type);
  }
  if (header.length > max_length) {
    return protocol_error("a frame of ", header.length, " bytes, expected at most ", max_length);
  }
  if (status > static_cast<std::uint16_t>(LinkStatus::credit) ||
      (status != 0) != (type == static_cast<std::uint8_t>(MessageType::error))) {
    return protocol_error("a frame of type ", type, " with status ", status);
  }
  header.type = static_cast<MessageType>(type);
  header.status = static_cast<LinkStatus>(status);
  return header;
}

bool payload_intact(const FrameHeader& header, std::span<const std::uint8_t> payload) noexcept {
  return payload.size() == header.length && crc32c(payload) == header.payload_crc;
}

std::size_t Hello::encode(std::span<std::uint8_t> out) const noexcept {
  const std::string_view cut = name.substr(0, kMaxNameBytes);
  Writer w(out);
  w.number<std::uint16_t>(lowest);
  w.number<std::uint16_t>(highest);
  w.number<std::uint32_t>(max_frame);
  w.bytes(client);
  w.number<std::uint8_t>(cut.size());
  w.bytes({reinterpret_cast<const std::uint8_t*>(cut.data()), cut.size()});
  return w.size();
}

Attach Attach::of(std::uint16_t version, const JobId& token, std::uint64_t epoch,
                  const ChannelBinding& binding) noexcept {
  if (version < 2) return {token, epoch};
  // HMAC-SHA256 under the token, which itself never travels on a data connection.
  const auto digest = [&token](std::span<const std::uint8_t> text) {
    return platform::hmac_sha256(token, text);
  };
  constexpr std::string_view kName = "qcim session", kProof = "qcim attach";
  Attach out;
  out.epoch = epoch;
  std::array<std::uint8_t, kProof.size() + 8 + 32> text{};
  std::copy(kName.begin(), kName.end(), text.begin());
  const auto name = digest(std::span(text).first(kName.size()));
  std::copy_n(name.begin(), out.token.size(), out.token.begin());
  Writer w(text);
  w.bytes(std::span(reinterpret_cast<const std::uint8_t*>(kProof.data()), kProof.size()));
  w.number<std::uint64_t>(epoch);
  w.bytes(binding);
  out.proof = digest(text);
  return out;
}

std::size_t Attach::encode(std::span<std::uint8_t> out) const noexcept {
  Writer w(out);
  w.bytes(token);
  w.number<std::uint64_t>(epoch);
  if (proof) w.bytes(*proof);
  return w.size();
}

std::size_t Ping::encode(std::span<std::uint8_t> out) const noexcept {
  Writer w(out);
  w.number<std::uint64_t>(echo);
  return w.size();
}

std::size_t Program::encode(std::span<std::uint8_t> out) const noexcept {
  Writer w(out);
  w.number<std::uint32_t>(id);
  w.number<std::uint16_t>(shape.heads);
  w.number<std::uint16_t>(shape.tokens);
  w.number<std::uint8_t>(encoding);
  w.zeros(3);
  return w.size();
}

std::size_t Cancel::encode(std::span<std::uint8_t> out) const noexcept {
  Writer w(out);
  w.bytes(job);
  return w.size();
}

std::size_t Fault::encode(std::span<std::uint8_t> out) const noexcept {
  Writer w(out);
  w.number<std::uint16_t>(kind);
  w.zeros(2);
  w.number<std::uint32_t>(parts_per_million);
  w.number<std::uint64_t>(argument);
  return w.size();
}

std::size_t Submit::encode(const QuantisedView& view, Encoding encoding,
                           std::span<std::int8_t> matrix,
                           std::span<std::uint8_t> out) const noexcept {
  const bool dense = encoding == Encoding::dense_i8;
  Writer w(out);
  w.bytes(job);
  w.number<std::uint64_t>(epoch);
  w.number<std::uint64_t>(remaining_us);
  w.number<std::uint64_t>(seed);
  w.number<std::uint32_t>(program);
  w.number<std::uint16_t>(view.shape.tokens);
  w.number<std::uint16_t>(view.ancillas);
  w.number<std::uint16_t>(reads);
  w.number<std::int8_t>(dense ? 0 : view.penalty);
  w.number<std::int8_t>(dense ? 0 : view.tie);
  w.number<std::uint32_t>(0);
  if (dense) {
    expand(view, matrix);
    const auto width = view.spins();
    for (std::size_t i = 0; i + 1 < width; ++i) {
      w.bytes({reinterpret_cast<const std::uint8_t*>(matrix.data() + i * width + i + 1),
               width - 1 - i});
    }
    return w.size();
  }
  if constexpr (std::endian::native == std::endian::little) {
    w.bytes({reinterpret_cast<const std::uint8_t*>(view.fields.data()), view.fields.size_bytes()});
  } else {
    for (const std::int16_t field : view.fields) w.number<std::int16_t>(field);
  }
  w.bytes({reinterpret_cast<const std::uint8_t*>(view.couplings.data()), view.couplings.size()});
  return w.size();
}

void Submit::renew(std::span<std::uint8_t> payload, std::uint64_t epoch,
                   std::uint64_t remaining_us) noexcept {
  Writer w(payload.subspan(16, 16));
  w.number<std::uint64_t>(epoch);
  w.number<std::uint64_t>(remaining_us);
}

Result<HelloAck> HelloAck::decode(std::span<const std::uint8_t> payload) {
  HelloAck out;
  Reader r(payload);
  std::uint16_t flags = 0;
  std::uint8_t name_bytes = 0;
  r.number<std::uint16_t>(out.version);
  r.number<std::uint16_t>(flags);
  r.number<std::uint32_t>(out.max_frame);
  r.number<std::uint64_t>(out.epoch);
  r.id(out.token);
  r.number<std::uint32_t>(out.max_spins);
  r.number<std::uint8_t>(out.coupling_bits);
  r.number<std::uint8_t>(out.encodings);
  r.number<std::uint16_t>(out.max_reads);
  r.number<std::uint16_t>(out.credit_jobs);
  r.number<std::uint16_t>(out.max_programs);
  r.number<std::uint32_t>(out.credit_bytes);
  r.number<std::uint32_t>(out.heartbeat_ms);
  r.number<std::uint32_t>(out.lease_ms);
  r.number<std::uint32_t>(out.round_trip_ns);
  r.number<std::uint32_t>(out.round_trips);
  r.number<std::uint32_t>(out.remember_ms);
  r.number<std::uint8_t>(out.state);
  r.reserved(18);
  r.number<std::uint8_t>(name_bytes);
  out.name = as_text(r.bytes(name_bytes));
  QAMA_RETURN_IF_ERROR(r.finish("HELLO_ACK"));
  out.emulated = (flags & 1U) != 0;
  out.faults = (flags & 2U) != 0;
  if (out.version < 1 || out.version > kNewestVersion) {
    return protocol_error("HELLO_ACK: version ", out.version, ", expected 1 to ", kNewestVersion);
  }
  if (flags > 3 || out.max_spins < 2 || out.max_spins > kMaxMachineSpins ||
      out.coupling_bits != 8 || (out.encodings & 3U) == 0 || out.encodings > 3 ||
      out.max_reads == 0 || out.credit_jobs == 0 || out.max_programs == 0 ||
      out.heartbeat_ms == 0 || out.state > 3 || out.lease_ms < out.heartbeat_ms ||
      name_bytes > kMaxNameBytes) {
    return protocol_error("HELLO_ACK: a capability is out of range");
  }
  if (!is_utf8(out.name)) return protocol_error("HELLO_ACK: the name is no UTF-8");
  return out;
}

Result<AttachAck> AttachAck::decode(std::span<const std::uint8_t> payload) {
  AttachAck out;
  Reader r(payload);
  r.number<std::uint64_t>(out.epoch);
  QAMA_RETURN_IF_ERROR(r.finish("ATTACH_ACK"));
  return out;
}

Result<Pong> Pong::decode(std::span<const std::uint8_t> payload) {
  Pong out;
  Reader r(payload);
  r.number<std::uint64_t>(out.echo);
  r.number<std::uint64_t>(out.epoch);
  r.number<std::uint32_t>(out.waiting);
  r.number<std::uint8_t>(out.state);
  r.reserved(3);
  QAMA_RETURN_IF_ERROR(r.finish("PONG"));
  if (out.state > 3) return protocol_error("PONG: state ", out.state, ", expected 0 to 3");
  return out;
}

Result<ProgramAck> ProgramAck::decode(std::span<const std::uint8_t> payload) {
  ProgramAck out;
  Reader r(payload);
  r.number<std::uint32_t>(out.id);
  r.reserved(4);
  r.number<std::uint64_t>(out.program_ns);
  QAMA_RETURN_IF_ERROR(r.finish("PROGRAM_ACK"));
  return out;
}

Result<JobResult> JobResult::decode(std::span<const std::uint8_t> payload) {
  JobResult out;
  Reader r(payload);
  std::uint8_t flags = 0;
  r.id(out.job);
  r.number<std::uint64_t>(out.epoch);
  r.number<std::int64_t>(out.energy);
  r.number<std::uint64_t>(out.queue_ns);
  r.number<std::uint64_t>(out.compute_ns);
  r.number<std::uint64_t>(out.program_ns);
  r.number<std::uint64_t>(out.anneal_ns);
  r.number<std::uint64_t>(out.readout_ns);
  r.number<std::uint32_t>(out.spins);
  r.number<std::uint16_t>(out.reads);
  r.number<std::uint8_t>(flags);
  r.reserved(1);
  if (out.spins > static_cast<std::size_t>(kMaxMachineSpins) || flags > 3) {
    return protocol_error("RESULT: ", out.spins, " spins, flags ", flags);
  }
  out.packed = r.bytes((out.spins + 7) / 8);
  QAMA_RETURN_IF_ERROR(r.finish("RESULT"));
  out.emulated = (flags & 1U) != 0;
  out.paced = (flags & 2U) != 0;
  return out;
}

Result<ErrorReply> ErrorReply::decode(std::span<const std::uint8_t> payload) {
  ErrorReply out;
  Reader r(payload);
  std::uint16_t length = 0;
  r.id(out.job);
  r.number<std::uint64_t>(out.epoch);
  r.number<std::uint32_t>(out.wait_us);
  r.number<std::uint16_t>(length);
  out.text = as_text(r.bytes(length));
  QAMA_RETURN_IF_ERROR(r.finish("ERROR"));
  if (length > 255) return protocol_error("ERROR: a text of ", length, " bytes");
  return out;
}

Result<CancelAck> CancelAck::decode(std::span<const std::uint8_t> payload) {
  CancelAck out;
  Reader r(payload);
  r.id(out.job);
  r.number<std::uint8_t>(out.outcome);
  QAMA_RETURN_IF_ERROR(r.finish("CANCEL_ACK"));
  if (out.outcome > 3) return protocol_error("CANCEL_ACK: outcome ", out.outcome);
  return out;
}

}  // namespace qama::hal::cim
