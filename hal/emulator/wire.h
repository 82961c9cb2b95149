// The emulator's half of hal/cim/PROTOCOL.md, "Frame" and "Messages", written against that text and
// sharing no code with the driver's half: requests in, replies out. A message is decoded into a
// plain struct or refused with a status; no byte is trusted. Sizes get the wire's width here.
//
// To add a message: its number in Type, a struct with parse_X() for a request or a function for a
// reply, and a case in service.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hal/emulator/dynamics.h"

namespace qama::emulator {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;
using Id = std::array<std::uint8_t, 16>;
using Proof = std::array<std::uint8_t, 32>;

inline constexpr std::size_t kHeaderSize = 32;
inline constexpr std::size_t kUnknownPeerLimit = 8192;  ///< of a payload before HELLO or ATTACH
inline constexpr std::size_t kSubmitFixedSize = 56;
inline constexpr std::size_t kResultFixedSize = 80;

enum Type : std::uint8_t {
  kHello = 1,
  kHelloAck = 2,
  kAttach = 3,
  kAttachAck = 4,
  kPing = 5,
  kPong = 6,
  kProgram = 7,
  kProgramAck = 8,
  kSubmit = 9,
  kResult = 10,
  kError = 11,
  kCancel = 12,
  kCancelAck = 13,
  kFault = 14,
  kFaultAck = 15,
  kGoodbye = 16
};

enum Code : std::uint16_t {
  kOk = 0,
  kBadCrc = 1,
  kBadFrame = 2,
  kBadVersion = 3,
  kTooLarge = 4,
  kBadValue = 5,
  kUnknownProgram = 6,
  kConflict = 7,
  kQueueFull = 8,
  kCalibrating = 9,
  kDeadline = 10,
  kCancelled = 11,
  kLost = 12,
  kAuth = 13,
  kNoSession = 14,
  kInternal = 15,
  kCredit = 16
};

/// CRC32C of PROTOCOL.md.
[[nodiscard]] std::uint32_t checksum(View bytes) noexcept;

struct Head {
  std::uint8_t type = 0;
  std::size_t length = 0;  ///< of the payload
  std::uint64_t request = 0;
  std::uint32_t payload_checksum = 0;
};
/// False where the connection has to end: CRC, magic, version, reserved bytes, type, status or
/// length is wrong.
[[nodiscard]] bool parse_head(View header, std::size_t limit, Head& out) noexcept;

struct HelloRequest {
  std::uint16_t lowest = 0, highest = 0;
  std::uint32_t max_frame = 0;
  Id client{};
  std::string name;
};
struct AttachRequest {
  Id token{};  ///< version 1; of version 2 the session's name
  std::uint64_t epoch = 0;
  std::optional<Proof> proof = std::nullopt;  ///< version 2
};
struct PingRequest {
  std::uint64_t echo = 0;
};
struct ProgramRequest {
  std::uint32_t id = 0;
  std::uint16_t heads = 0, tokens = 0;
  std::uint8_t encoding = 0;
};
struct CancelRequest {
  Id job{};
};
struct FaultRequest {
  std::uint16_t kind = 0;
  std::uint32_t parts_per_million = 0;
  std::uint64_t argument = 0;
};
/// SUBMIT's fixed part; the problem's bytes are decoded when its program is known.
struct SubmitRequest {
  Id job{};
  std::uint64_t epoch = 0, remaining_us = 0, seed = 0;
  std::uint32_t program = 0;
  std::uint16_t tokens = 0, ancillas = 0, reads = 0;
  int penalty = 0, tie = 0;
  View problem;
};

struct Refusal {
  Code code = kBadFrame;
  std::string text;
  std::uint32_t wait_us = 0;  ///< before the client tries again
};
template <typename T>
using Parsed = std::variant<T, Refusal>;

/// What ATTACH of version 2 calls a session, and how it proves that its client has the token.
[[nodiscard]] Id session_name(const Id& token) noexcept;
[[nodiscard]] Proof attach_proof(const Id& token, std::uint64_t epoch,
                                 const Proof& binding) noexcept;

[[nodiscard]] Parsed<HelloRequest> parse_hello(View payload);
[[nodiscard]] Parsed<AttachRequest> parse_attach(View payload);
[[nodiscard]] Parsed<PingRequest> parse_ping(View payload);
[[nodiscard]] Parsed<ProgramRequest> parse_program(View payload);
[[nodiscard]] Parsed<CancelRequest> parse_cancel(View payload);
[[nodiscard]] Parsed<FaultRequest> parse_fault(View payload);
[[nodiscard]] Parsed<SubmitRequest> parse_submit(View payload);
/// The problem of a SUBMIT under its program; `max_spins` of the machine.
[[nodiscard]] Parsed<IsingProblem> parse_problem(const SubmitRequest& submit,
                                                 const ProgramRequest& program, int max_spins);

/// What HELLO_ACK says, in the units of the protocol.
struct Capabilities {
  int version = 1;
  bool faults = false;
  std::size_t max_frame = 0;
  std::uint64_t epoch = 0;
  Id token{};
  int max_spins = 0, max_reads = 0, credit_jobs = 0;
  std::size_t max_programs = 0, credit_bytes = 0;
  int heartbeat_ms = 0, lease_ms = 0;
  double round_trip_ns = 0;
  int round_trips = 0, remember_ms = 0;
  std::uint8_t state = 0;
  std::string name;
};
struct Answer {
  Id job{};
  std::uint64_t epoch = 0;
  std::int64_t energy = 0;
  std::uint64_t queue_ns = 0, compute_ns = 0, program_ns = 0, anneal_ns = 0, readout_ns = 0;
  std::size_t spins = 0;
  int reads = 0;
  bool paced = false;
  Bytes packed;
};
enum class CancelOutcome : std::uint8_t { unknown = 0, dequeued = 1, stopped = 2, answered = 3 };

// Payloads of replies.
[[nodiscard]] Bytes hello_ack(const Capabilities& c);
[[nodiscard]] Bytes attach_ack(std::uint64_t epoch);
[[nodiscard]] Bytes pong(std::uint64_t echo, std::uint64_t epoch, std::uint32_t waiting,
                         std::uint8_t state);
[[nodiscard]] Bytes program_ack(std::uint32_t id, std::uint64_t program_ns);
[[nodiscard]] Bytes result(const Answer& answer);
[[nodiscard]] Bytes error(const Id& job, std::uint64_t epoch, std::uint32_t wait_us,
                          std::string_view text);
[[nodiscard]] Bytes cancel_ack(const Id& job, CancelOutcome outcome);

/// Header and payload in one.
[[nodiscard]] Bytes frame(std::uint8_t type, std::uint64_t request, View payload,
                          std::uint16_t status = kOk);

/// Signs -1, 1 as RESULT packs them.
[[nodiscard]] Bytes pack_signs(std::span<const std::int8_t> signs);
/// RESULT's payload with one spin less, for a fault.
void drop_last_spin(Bytes& result);

}  // namespace qama::emulator
