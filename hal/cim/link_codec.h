// The driver's half of PROTOCOL.md, "Frame" and "Messages": requests out, replies in. Bytes from
// the machine are checked; nothing here allocates, except an error. Sizes are std::size_t in the
// structs and get the wire's width here.
//
// To add a message: its row in PROTOCOL.md, its number in MessageType, a struct here with kType and
// encode() or decode(), the same in hal/emulator/wire.h, a vector in tests/hal/cim/link_vectors.py.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "hal/base/result.h"
#include "hal/cim/quantised_view.h"

namespace qama::hal::cim {

inline constexpr std::size_t kFrameHeaderBytes = 32;
inline constexpr std::uint8_t kFrameVersion = 1;
inline constexpr std::uint16_t kNewestVersion = 2;  ///< that HELLO offers
inline constexpr std::size_t kMaxFrameBeforeHello = 8192;
inline constexpr std::size_t kMaxReplyBytes = 8192;  ///< the longest payload that the driver takes
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
/// What only the two ends of one TLS connection know; zeros on plain TCP (PROTOCOL.md, ATTACH).
using ChannelBinding = std::array<std::uint8_t, 32>;

/// CRC32C (Castagnoli) of PROTOCOL.md, "Frame"; 0 for no bytes.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::uint8_t> bytes) noexcept;

struct FrameHeader {
  MessageType type{};
  LinkStatus status = LinkStatus::ok;
  std::size_t length = 0;  ///< of the payload, in bytes
  std::uint64_t request = 0;
  std::uint32_t payload_crc = 0;
};

/// Writes the header of the frame whose payload is already in place; `out` has 32 bytes.
void encode_header(MessageType type, std::uint64_t request, std::span<const std::uint8_t> payload,
                   std::span<std::uint8_t> out) noexcept;
/// DEVICE_PROTOCOL: header CRC, magic, version, reserved bytes, type, length above `max_length`.
[[nodiscard]] Result<FrameHeader> decode_header(std::span<const std::uint8_t> bytes,
                                                std::size_t max_length);
/// Whether the payload is what the header's CRC says.
[[nodiscard]] bool payload_intact(const FrameHeader& header,
                                  std::span<const std::uint8_t> payload) noexcept;

// Requests: encode() writes the payload and returns its size; `out` is large enough
// (kMaxFrameBeforeHello).
struct Hello {
  static constexpr MessageType kType = MessageType::hello;
  std::uint16_t lowest = 1, highest = kNewestVersion;
  std::size_t max_frame = kMaxReplyBytes;  ///< bytes of payload
  JobId client{};                          ///< random, one a process
  std::string_view name;
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Attach {
  static constexpr MessageType kType = MessageType::attach;
  JobId token{};  ///< version 1; of version 2 the session's name
  std::uint64_t epoch = 0;
  std::optional<std::array<std::uint8_t, 32>> proof = std::nullopt;  ///< version 2
  /// What goes out on a data connection that `binding` belongs to, in a session of `version`.
  static Attach of(std::uint16_t version, const JobId& token, std::uint64_t epoch,
                   const ChannelBinding& binding) noexcept;
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Ping {
  static constexpr MessageType kType = MessageType::ping;
  std::uint64_t echo = 0;
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Program {
  static constexpr MessageType kType = MessageType::program;
  std::uint32_t id = 0;
  ProblemShape shape;
  Encoding encoding = Encoding::block_i8;
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Cancel {
  static constexpr MessageType kType = MessageType::cancel;
  JobId job{};
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Fault {
  static constexpr MessageType kType = MessageType::fault;
  std::uint16_t kind = 0;
  std::uint32_t parts_per_million = 0;
  std::uint64_t argument = 0;
  std::size_t encode(std::span<std::uint8_t> out) const noexcept;
};
struct Goodbye {
  static constexpr MessageType kType = MessageType::goodbye;
  std::size_t encode(std::span<std::uint8_t>) const noexcept { return 0; }
};
struct Submit {
  static constexpr MessageType kType = MessageType::submit;
  JobId job{};
  std::uint64_t epoch = 0, remaining_us = 0, seed = 0;
  std::uint32_t program = 0;
  std::size_t reads = 1;
  /// The problem goes out in `encoding`; `matrix` is scratch of view.spins()^2 for dense_i8, else
  /// empty.
  std::size_t encode(const QuantisedView& view, Encoding encoding, std::span<std::int8_t> matrix,
                     std::span<std::uint8_t> out) const noexcept;
  /// Writes epoch and remaining time into a payload that encode() made, for the next attempt. The
  /// rest must stay as it was: PROTOCOL.md, "A retry never anneals twice".
  static void renew(std::span<std::uint8_t> payload, std::uint64_t epoch,
                    std::uint64_t remaining_us) noexcept;
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
  static constexpr MessageType kType = MessageType::hello_ack;
  std::uint16_t version = 0;
  bool emulated = false, faults = false;
  std::size_t max_frame = 0;
  std::uint64_t epoch = 0;
  JobId token{};
  std::size_t max_spins = 0;
  std::uint8_t coupling_bits = 0, encodings = 0;
  std::size_t max_reads = 0, credit_jobs = 0, max_programs = 0, credit_bytes = 0;
  /// Bytes of a SUBMIT's payload that the machine can ever take.
  [[nodiscard]] std::size_t most_job_bytes() const noexcept {
    return std::min(max_frame, credit_bytes);
  }
  std::uint32_t heartbeat_ms = 0, lease_ms = 0, round_trip_ns = 0, round_trips = 0, remember_ms = 0;
  std::uint8_t state = 0;
  std::string_view name;
  [[nodiscard]] bool takes(Encoding encoding) const noexcept {
    return (encodings >> static_cast<unsigned>(encoding) & 1U) != 0;
  }
  static Result<HelloAck> decode(std::span<const std::uint8_t> payload);
};
struct AttachAck {
  static constexpr MessageType kType = MessageType::attach_ack;
  std::uint64_t epoch = 0;
  static Result<AttachAck> decode(std::span<const std::uint8_t> payload);
};
struct Pong {
  static constexpr MessageType kType = MessageType::pong;
  std::uint64_t echo = 0, epoch = 0;
  std::size_t waiting = 0;  ///< jobs of all sessions
  std::uint8_t state = 0;
  static Result<Pong> decode(std::span<const std::uint8_t> payload);
};
struct ProgramAck {
  static constexpr MessageType kType = MessageType::program_ack;
  std::uint32_t id = 0;
  std::uint64_t program_ns = 0;
  static Result<ProgramAck> decode(std::span<const std::uint8_t> payload);
};
struct JobResult {
  static constexpr MessageType kType = MessageType::result;
  JobId job{};
  std::uint64_t epoch = 0;
  std::int64_t energy = 0;
  std::uint64_t queue_ns = 0, compute_ns = 0, program_ns = 0, anneal_ns = 0, readout_ns = 0;
  std::size_t spins = 0;  ///< ancillas included
  std::size_t reads = 0;
  bool emulated = false, paced = false;
  std::span<const std::uint8_t> packed;
  static Result<JobResult> decode(std::span<const std::uint8_t> payload);
};
struct ErrorReply {
  static constexpr MessageType kType = MessageType::error;
  JobId job{};
  std::uint64_t epoch = 0;
  std::uint32_t wait_us = 0;
  std::string_view text;
  static Result<ErrorReply> decode(std::span<const std::uint8_t> payload);
};
struct CancelAck {
  static constexpr MessageType kType = MessageType::cancel_ack;
  JobId job{};
  std::uint8_t outcome = 0;
  static Result<CancelAck> decode(std::span<const std::uint8_t> payload);
};

}  // namespace qama::hal::cim
