// The driver's half of PROTOCOL.md: requests out, replies in. Nothing here allocates unless it
// fails, nothing trusts a byte. To add a message: its number, a struct with encode or decode, its
// row in PROTOCOL.md, a vector in tests/hal/cim/link_vectors.py.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "hal/base/result.h"
#include "hal/cim/quantise.h"

namespace qama::hal::cim {

inline constexpr std::size_t kFrameHeaderBytes = 32;
inline constexpr std::uint8_t kProtocolVersion = 1;
inline constexpr std::uint32_t kMaxFrameBeforeHello = 8192;
inline constexpr std::uint32_t kMaxReplyBytes = 8192;  ///< the driver takes no longer payload
inline constexpr std::size_t kSubmitFixedBytes = 56;
inline constexpr std::size_t kResultFixedBytes = 80;
inline constexpr std::size_t kMaxNameBytes = 63;

enum class MessageType : std::uint8_t {
  hello = 1,
  hello_ack,
  attach,
  attach_ack,
  ping,
  pong,
  program,
  program_ack,
  submit,
  result,
  error,
  cancel,
  cancel_ack,
  fault,
  fault_ack,
  goodbye
};

enum class LinkStatus : std::uint16_t {
  ok,
  bad_crc,
  bad_frame,
  version,
  too_large,
  bad_value,
  unknown_program,
  conflict,
  queue_full,
  calibrating,
  deadline,
  cancelled,
  lost,
  auth,
  no_session,
  internal,
  credit
};
[[nodiscard]] std::string_view link_status_name(LinkStatus status) noexcept;
/// The project's error for a status.
[[nodiscard]] ErrorCode error_of(LinkStatus status) noexcept;

enum class Encoding : std::uint8_t { block_i8 = 0, dense_i8 = 1 };

using JobId = std::array<std::uint8_t, 16>;

/// CRC32C, continued from `previous`.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::uint8_t> bytes,
                                   std::uint32_t previous = 0) noexcept;

struct FrameHeader {
  MessageType type{};
  LinkStatus status = LinkStatus::ok;
  std::uint32_t length = 0;
  std::uint64_t request = 0;
  std::uint32_t payload_crc = 0;
};

/// Writes the header of the frame whose payload is already in place; `out` has 32 bytes.
void encode_header(MessageType type, std::uint64_t request, std::span<const std::uint8_t> payload,
                   std::span<std::uint8_t> out) noexcept;
/// DEVICE_PROTOCOL: header CRC, magic, version, reserved bytes, type, length above `max_length`.
[[nodiscard]] Result<FrameHeader> decode_header(std::span<const std::uint8_t> bytes,
                                                std::uint32_t max_length);
/// Whether the payload is what the header's CRC says.
[[nodiscard]] bool payload_intact(const FrameHeader& header,
                                  std::span<const std::uint8_t> payload) noexcept;

// Requests: encode() writes the payload and returns its size; `out` is large enough
// (kMaxFrameBeforeHello).
struct Hello {
  std::uint16_t lowest = kProtocolVersion, highest = kProtocolVersion;
  std::uint32_t max_frame = kMaxReplyBytes;
  JobId client{};
  std::string_view name;
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Attach {
  JobId token{};
  std::uint64_t epoch = 0;
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Ping {
  std::uint64_t echo = 0;
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Program {
  std::uint32_t id = 0;
  ProblemShape shape;
  Encoding encoding = Encoding::block_i8;
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Cancel {
  JobId job{};
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Fault {
  std::uint16_t kind = 0;
  std::uint32_t parts_per_million = 0;
  std::uint64_t argument = 0;
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Submit {
  JobId job{};
  std::uint64_t epoch = 0, remaining_us = 0, seed = 0;
  std::uint32_t program = 0;
  std::uint16_t reads = 1;
  /// The problem goes out in `encoding`; `matrix` is scratch of block.spins()^2 for dense_i8, else
  /// empty.
  std::size_t encode(const BlockProblem& block, Encoding encoding, std::span<std::int8_t> matrix,
                     std::span<std::uint8_t> out) const noexcept;
};
/// A SUBMIT payload's bytes.
[[nodiscard]] inline std::size_t submit_bytes(const ProblemShape& shape, std::int32_t ancillas,
                                              Encoding encoding) noexcept {
  const auto n = static_cast<std::size_t>(shape.spins());
  if (encoding == Encoding::block_i8) return kSubmitFixedBytes + 2 * n + coupling_count(shape);
  const std::size_t width = n + static_cast<std::size_t>(ancillas);
  return kSubmitFixedBytes + width * (width - 1) / 2;
}

// Replies: decode() checks sizes, reserved bytes and ranges; DEVICE_PROTOCOL else. Views point into
// `payload`.
struct HelloAck {
  std::uint16_t version = 0;
  bool emulated = false, faults = false;
  std::uint32_t max_frame = 0;
  std::uint64_t epoch = 0;
  JobId token{};
  std::uint32_t max_spins = 0;
  std::uint8_t coupling_bits = 0, encodings = 0;
  std::uint16_t max_reads = 0, credit_jobs = 0, max_programs = 0;
  std::uint32_t credit_bytes = 0, heartbeat_ms = 0, lease_ms = 0, round_trip_ns = 0,
                round_trips = 0, remember_ms = 0;
  std::uint8_t state = 0;
  std::string_view name;
  static Result<HelloAck> decode(std::span<const std::uint8_t> payload);
};
struct AttachAck {
  std::uint64_t epoch = 0;
  static Result<AttachAck> decode(std::span<const std::uint8_t> payload);
};
struct Pong {
  std::uint64_t echo = 0, epoch = 0;
  std::uint32_t waiting = 0;
  std::uint8_t state = 0;
  static Result<Pong> decode(std::span<const std::uint8_t> payload);
};
struct ProgramAck {
  std::uint32_t id = 0;
  std::uint64_t program_ns = 0;
  static Result<ProgramAck> decode(std::span<const std::uint8_t> payload);
};
struct JobResult {
  JobId job{};
  std::uint64_t epoch = 0;
  std::int64_t energy = 0;
  std::uint64_t queue_ns = 0, compute_ns = 0, program_ns = 0, anneal_ns = 0, readout_ns = 0;
  std::uint32_t spins = 0;
  std::uint16_t reads = 0;
  bool emulated = false, paced = false;
  std::span<const std::uint8_t> packed;
  static Result<JobResult> decode(std::span<const std::uint8_t> payload);
};
struct ErrorReply {
  JobId job{};
  std::uint64_t epoch = 0;
  std::uint32_t wait_us = 0;
  std::string_view text;
  static Result<ErrorReply> decode(std::span<const std::uint8_t> payload);
};
struct CancelAck {
  JobId job{};
  std::uint8_t outcome = 0;
  static Result<CancelAck> decode(std::span<const std::uint8_t> payload);
};

}  // namespace qama::hal::cim
