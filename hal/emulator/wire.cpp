#include "hal/emulator/wire.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "hal/base/sentence.h"
#include "hal/platform/sha256.h"

namespace qama::emulator {
namespace {

constexpr std::uint16_t kNewestVersion = 2;
constexpr std::uint8_t kMagic[4] = {'Q', 'C', 'I', 'M'};

template <typename T>
T load(View from, std::size_t at) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) value = (value << 8) | from[at + i];
  return static_cast<T>(value);
}

template <typename T>
void store(Bytes& to, T value, std::size_t size) {
  const auto bits = static_cast<std::uint64_t>(value);
  for (std::size_t i = 0; i < size; ++i) to.push_back(static_cast<std::uint8_t>(bits >> (8 * i)));
}

void store(Bytes& to, const Id& id) {
  to.insert(to.end(), id.begin(), id.end());
}

Id load_id(View from, std::size_t at) noexcept {
  Id id;
  std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(at), id.size(), id.begin());
  return id;
}

bool all_zero(View bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

template <typename... Parts>
Refusal refusal(Code code, const Parts&... parts) {
  return {code, sentence(parts...)};
}
Refusal wrong_size(const char* what, std::size_t got, std::size_t expected) {
  return refusal(kBadFrame, what, ": a payload of ", got, " bytes, expected ", expected);
}
Refusal reserved(const char* what) {
  return refusal(kBadFrame, what, ": a reserved byte is not 0");
}

}  // namespace

std::uint32_t checksum(View bytes) noexcept {
  if (bytes.empty()) return 0;
  return ~crc32_iscsi(const_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()),
                      ~0U);
}

namespace {

View bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

Id session_name(const Id& token) noexcept {
  const Proof whole = platform::hmac_sha256(token, bytes_of("qcim session"));
  Id out;
  std::copy_n(whole.begin(), out.size(), out.begin());
  return out;
}

Proof attach_proof(const Id& token, std::uint64_t epoch, const Proof& binding) noexcept {
  const View label = bytes_of("qcim attach");
  std::array<std::uint8_t, 11 + 8 + 32> text{};
  std::copy(label.begin(), label.end(), text.begin());
  for (std::size_t i = 0; i < 8; ++i) text[11 + i] = static_cast<std::uint8_t>(epoch >> (8 * i));
  std::copy(binding.begin(), binding.end(), text.begin() + 19);
  return platform::hmac_sha256(token, text);
}

bool parse_head(View header, std::size_t limit, Head& out) noexcept {
  if (header.size() < kHeaderSize) return false;
  if (load<std::uint32_t>(header, 28) != checksum(header.first(28))) return false;
  if (!std::equal(std::begin(kMagic), std::end(kMagic), header.begin()) || header[4] != 1)
    return false;
  if (load<std::uint16_t>(header, 6) != 0 || load<std::uint32_t>(header, 12) != 0) return false;
  out.type = header[5];
  out.length = load<std::uint32_t>(header, 8);
  out.request = load<std::uint64_t>(header, 16);
  out.payload_checksum = load<std::uint32_t>(header, 24);
  return out.type >= kHello && out.type <= kGoodbye && out.length <= limit;
}

Parsed<HelloRequest> parse_hello(View payload) {
  if (payload.size() < 25) return wrong_size("HELLO", payload.size(), 25);
  const std::size_t name_bytes = payload[24];
  if (payload.size() != 25 + name_bytes)
    return wrong_size("HELLO", payload.size(), 25 + name_bytes);
  if (name_bytes > 63) return Refusal{kBadFrame, "HELLO: a name of more than 63 bytes"};
  HelloRequest out;
  out.lowest = load<std::uint16_t>(payload, 0);
  out.highest = load<std::uint16_t>(payload, 2);
  out.max_frame = load<std::uint32_t>(payload, 4);
  out.client = load_id(payload, 8);
  out.name.assign(reinterpret_cast<const char*>(payload.data()) + 25, name_bytes);
  if (out.lowest > kNewestVersion || out.highest < 1 || out.lowest > out.highest) {
    return refusal(kBadVersion, "HELLO: versions ", out.lowest, " to ", out.highest,
                   ", this machine speaks 1 to ", kNewestVersion);
  }
  if (out.max_frame < 1024) {
    return refusal(kBadValue, "HELLO: a client that takes ", out.max_frame,
                   " bytes a frame, expected at least 1024");
  }
  return out;
}

Parsed<AttachRequest> parse_attach(View payload) {
  if (payload.size() != 24 && payload.size() != 56) return wrong_size("ATTACH", payload.size(), 56);
  AttachRequest out{load_id(payload, 0), load<std::uint64_t>(payload, 16)};
  if (payload.size() == 56) std::copy_n(payload.begin() + 24, 32, out.proof.emplace().begin());
  return out;
}

Parsed<PingRequest> parse_ping(View payload) {
  if (payload.size() != 8) return wrong_size("PING", payload.size(), 8);
  return PingRequest{load<std::uint64_t>(payload, 0)};
}

Parsed<ProgramRequest> parse_program(View payload) {
  if (payload.size() != 12) return wrong_size("PROGRAM", payload.size(), 12);
  if (!all_zero(payload.subspan(9))) return reserved("PROGRAM");
  ProgramRequest out;
  out.id = load<std::uint32_t>(payload, 0);
  out.heads = load<std::uint16_t>(payload, 4);
  out.tokens = load<std::uint16_t>(payload, 6);
  out.encoding = payload[8];
  if (out.heads == 0 || out.tokens == 0 || out.encoding > 1) {
    return refusal(kBadValue, "PROGRAM: ", out.heads, " heads, ", out.tokens, " tokens, encoding ",
                   out.encoding);
  }
  return out;
}

Parsed<CancelRequest> parse_cancel(View payload) {
  if (payload.size() != 16) return wrong_size("CANCEL", payload.size(), 16);
  return CancelRequest{load_id(payload, 0)};
}

Parsed<FaultRequest> parse_fault(View payload) {
  if (payload.size() != 16) return wrong_size("FAULT", payload.size(), 16);
  if (load<std::uint16_t>(payload, 2) != 0) return reserved("FAULT");
  return FaultRequest{load<std::uint16_t>(payload, 0), load<std::uint32_t>(payload, 4),
                      load<std::uint64_t>(payload, 8)};
}

Parsed<SubmitRequest> parse_submit(View payload) {
  if (payload.size() < kSubmitFixedSize)
    return wrong_size("SUBMIT", payload.size(), kSubmitFixedSize);
  if (load<std::uint32_t>(payload, 52) != 0) return reserved("SUBMIT");
  SubmitRequest out;
  out.job = load_id(payload, 0);
  out.epoch = load<std::uint64_t>(payload, 16);
  out.remaining_us = load<std::uint64_t>(payload, 24);
  out.seed = load<std::uint64_t>(payload, 32);
  out.program = load<std::uint32_t>(payload, 40);
  out.tokens = load<std::uint16_t>(payload, 44);
  out.ancillas = load<std::uint16_t>(payload, 46);
  out.reads = load<std::uint16_t>(payload, 48);
  out.penalty = static_cast<std::int8_t>(payload[50]);
  out.tie = static_cast<std::int8_t>(payload[51]);
  out.problem = payload.subspan(kSubmitFixedSize);
  return out;
}

namespace {

std::optional<Refusal> refusal_of(const SubmitRequest& submit, const ProgramRequest& program,
                                  std::size_t max_spins) {
  if (submit.tokens == 0 || submit.tokens > program.tokens) {
    return refusal(kBadValue, "SUBMIT: ", submit.tokens, " tokens, programmed for 1 to ",
                   program.tokens);
  }
  const std::size_t width = std::size_t{program.heads} * submit.tokens + submit.ancillas;
  if (width > max_spins) {
    return refusal(kTooLarge, "SUBMIT: ", width, " spins with ancillas, this machine has ",
                   max_spins);
  }
  if (submit.ancillas < 1 || submit.ancillas > 256)
    return refusal(kBadValue, "SUBMIT: ", submit.ancillas, " ancillas, expected 1 to 256");
  if (submit.penalty < 0 || submit.tie < 0 || (submit.ancillas == 1 && submit.tie != 0) ||
      (program.encoding == 1 && (submit.penalty != 0 || submit.tie != 0))) {
    return refusal(kBadValue, "SUBMIT: penalty ", submit.penalty, " and tie ", submit.tie,
                   " are out of range");
  }
  return std::nullopt;
}

}  // namespace

Parsed<IsingProblem> parse_problem(const SubmitRequest& submit, const ProgramRequest& program,
                                   int max_spins) {
  if (auto why = refusal_of(submit, program, static_cast<std::size_t>(max_spins))) return *why;
  const bool dense = program.encoding == 1;
  const std::size_t n = submit.tokens;
  const std::size_t spins = program.heads * n;
  const std::size_t width = spins + submit.ancillas;
  const std::size_t coupling_bytes =
      dense ? width * (width - 1) / 2 : program.heads * (n * (n - 1) / 2);
  const std::size_t expected = coupling_bytes + (dense ? 0 : 2 * spins);
  if (submit.problem.size() != expected) {
    return wrong_size("SUBMIT", submit.problem.size() + kSubmitFixedSize,
                      expected + kSubmitFixedSize);
  }
  IsingProblem out;
  out.first_ancilla = static_cast<int>(spins);
  if (dense) {
    out.heads = 1;
    out.tokens = static_cast<int>(width);
  } else {
    out.heads = program.heads;
    out.tokens = submit.tokens;
    out.ancillas = submit.ancillas;
    out.penalty = submit.penalty;
    out.tie = submit.tie;
    out.fields.resize(spins);
  }
  for (std::size_t i = 0; i < out.fields.size(); ++i) {
    out.fields[i] = load<std::int16_t>(submit.problem, 2 * i);
    if (std::abs(int{out.fields[i]}) > kMaxCoupling * out.ancillas) {
      return refusal(kBadValue, "SUBMIT: field ", out.fields[i], " of spin ", i,
                     ", expected at most ", kMaxCoupling, " times ", submit.ancillas);
    }
  }
  const View couplings = submit.problem.last(coupling_bytes);
  out.couplings.resize(coupling_bytes);
  if (!couplings.empty()) std::memcpy(out.couplings.data(), couplings.data(), couplings.size());
  if (std::find(out.couplings.begin(), out.couplings.end(), std::int8_t{-128}) !=
      out.couplings.end()) {
    return refusal(kBadValue, "SUBMIT: a coupling is -128, expected -", kMaxCoupling, " to ",
                   kMaxCoupling);
  }
  return out;
}

Bytes hello_ack(const Capabilities& c) {
  Bytes out;
  store(out, c.version, 2);
  store(out, c.faults ? 3 : 1, 2);  // emulated; FAULT is accepted
  store(out, c.max_frame, 4);
  store(out, c.epoch, 8);
  store(out, c.token);
  store(out, c.max_spins, 4);
  store(out, 8, 1);  // coupling bits
  store(out, 3, 1);  // both encodings
  store(out, c.max_reads, 2);
  store(out, c.credit_jobs, 2);
  store(out, c.max_programs, 2);
  store(out, c.credit_bytes, 4);
  store(out, c.heartbeat_ms, 4);
  store(out, c.lease_ms, 4);
  store(out, c.round_trip_ns, 4);
  store(out, c.round_trips, 4);
  store(out, c.remember_ms, 4);
  store(out, c.state, 1);
  out.resize(out.size() + 18);
  const std::string name = c.name.substr(0, 63);
  store(out, name.size(), 1);
  out.insert(out.end(), name.begin(), name.end());
  return out;
}

Bytes attach_ack(std::uint64_t epoch) {
  Bytes out;
  store(out, epoch, 8);
  return out;
}

Bytes pong(std::uint64_t echo, std::uint64_t epoch, std::uint32_t waiting, std::uint8_t state) {
  Bytes out;
  store(out, echo, 8);
  store(out, epoch, 8);
  store(out, waiting, 4);
  store(out, state, 1);
  out.resize(24);
  return out;
}

Bytes program_ack(std::uint32_t id, std::uint64_t program_ns) {
  Bytes out;
  store(out, id, 4);
  store(out, 0, 4);
  store(out, program_ns, 8);
  return out;
}

Bytes result(const Answer& a) {
  Bytes out;
  out.reserve(kResultFixedSize + a.packed.size());
  store(out, a.job);
  store(out, a.epoch, 8);
  store(out, a.energy, 8);
  for (const std::uint64_t time :
       {a.queue_ns, a.compute_ns, a.program_ns, a.anneal_ns, a.readout_ns}) {
    store(out, time, 8);
  }
  store(out, a.spins, 4);
  store(out, a.reads, 2);
  store(out, a.paced ? 3 : 1, 1);
  store(out, 0, 1);
  out.insert(out.end(), a.packed.begin(), a.packed.end());
  return out;
}

Bytes error(const Id& job, std::uint64_t epoch, std::uint32_t wait_us, std::string_view text) {
  Bytes out;
  text = text.substr(0, 255);
  store(out, job);
  store(out, epoch, 8);
  store(out, wait_us, 4);
  store(out, text.size(), 2);
  out.insert(out.end(), text.begin(), text.end());
  return out;
}

Bytes cancel_ack(const Id& job, CancelOutcome outcome) {
  Bytes out;
  store(out, job);
  store(out, outcome, 1);
  return out;
}

Bytes frame(std::uint8_t type, std::uint64_t request, View payload, std::uint16_t status) {
  Bytes out(std::begin(kMagic), std::end(kMagic));
  out.reserve(kHeaderSize + payload.size());
  store(out, 1, 1);
  store(out, type, 1);
  store(out, status, 2);
  store(out, payload.size(), 4);
  store(out, 0, 4);
  store(out, request, 8);
  store(out, checksum(payload), 4);
  store(out, checksum(out), 4);
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

Bytes pack_signs(std::span<const std::int8_t> signs) {
  Bytes out((signs.size() + 7) / 8);
  for (std::size_t i = 0; i < signs.size(); ++i) {
    if (signs[i] > 0) out[i / 8] |= static_cast<std::uint8_t>(1U << (i % 8));
  }
  return out;
}

void drop_last_spin(Bytes& result) {
  const std::uint32_t spins = load<std::uint32_t>(result, 72) - 1;
  for (std::size_t i = 0; i < 4; ++i) result[72 + i] = static_cast<std::uint8_t>(spins >> (8 * i));
  result.resize(kResultFixedSize + (spins + 7) / 8);
  if (spins % 8 != 0) result.back() &= static_cast<std::uint8_t>((1U << (spins % 8)) - 1);
}

}  // namespace qama::emulator
