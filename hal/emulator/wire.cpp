#include "hal/emulator/wire.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstring>

namespace qama::emulator {
namespace {

constexpr std::uint8_t kMagic[4] = {'Q', 'C', 'I', 'M'};

std::uint64_t load(View from, std::size_t at, std::size_t size) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = (value << 8) | from[at + i];
  return value;
}

void store(Bytes& to, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
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

Refusal wrong_size(const char* what, std::size_t got, std::size_t expected) {
  return {kBadFrame, std::string(what) + ": a payload of " + std::to_string(got) +
                         " bytes, expected " + std::to_string(expected)};
}
Refusal reserved(const char* what) {
  return {kBadFrame, std::string(what) + ": a reserved byte is not 0"};
}

std::string number_of(std::uint64_t n) {
  return std::to_string(n);
}

}  // namespace

std::uint32_t checksum(View bytes) noexcept {
  if (bytes.empty()) return 0;
  return ~crc32_iscsi(const_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()),
                      ~0U);
}

bool parse_head(View header, std::uint32_t limit, Head& out) noexcept {
  if (header.size() < kHeaderSize) return false;
  if (load(header, 28, 4) != checksum(header.first(28))) return false;
  if (!std::equal(std::begin(kMagic), std::end(kMagic), header.begin()) || header[4] != 1)
    return false;
  if (load(header, 6, 2) != 0 || load(header, 12, 4) != 0) return false;
  out.type = header[5];
  out.length = static_cast<std::uint32_t>(load(header, 8, 4));
  out.request = load(header, 16, 8);
  out.payload_checksum = static_cast<std::uint32_t>(load(header, 24, 4));
  return out.type >= kHello && out.type <= kGoodbye && out.length <= limit;
}

Parsed<HelloRequest> parse_hello(View payload) {
  if (payload.size() < 25) return wrong_size("HELLO", payload.size(), 25);
  const std::size_t name_bytes = payload[24];
  if (payload.size() != 25 + name_bytes)
    return wrong_size("HELLO", payload.size(), 25 + name_bytes);
  if (name_bytes > 63) return Refusal{kBadFrame, "HELLO: a name of more than 63 bytes"};
  HelloRequest out;
  out.lowest = static_cast<std::uint16_t>(load(payload, 0, 2));
  out.highest = static_cast<std::uint16_t>(load(payload, 2, 2));
  out.max_frame = static_cast<std::uint32_t>(load(payload, 4, 4));
  out.client = load_id(payload, 8);
  out.name.assign(reinterpret_cast<const char*>(payload.data()) + 25, name_bytes);
  if (out.lowest > 1 || out.highest < 1) {
    return Refusal{kBadVersion, "HELLO: versions " + number_of(out.lowest) + " to " +
                                    number_of(out.highest) + ", this machine speaks 1"};
  }
  if (out.max_frame < 1024) {
    return Refusal{kBadValue, "HELLO: a client that takes " + number_of(out.max_frame) +
                                  " bytes a frame, expected at least 1024"};
  }
  return out;
}

Parsed<AttachRequest> parse_attach(View payload) {
  if (payload.size() != 24) return wrong_size("ATTACH", payload.size(), 24);
  return AttachRequest{load_id(payload, 0), load(payload, 16, 8)};
}

Parsed<PingRequest> parse_ping(View payload) {
  if (payload.size() != 8) return wrong_size("PING", payload.size(), 8);
  return PingRequest{load(payload, 0, 8)};
}

Parsed<ProgramRequest> parse_program(View payload) {
  if (payload.size() != 12) return wrong_size("PROGRAM", payload.size(), 12);
  if (!all_zero(payload.subspan(9))) return reserved("PROGRAM");
  ProgramRequest out;
  out.id = static_cast<std::uint32_t>(load(payload, 0, 4));
  out.heads = static_cast<std::uint16_t>(load(payload, 4, 2));
  out.tokens = static_cast<std::uint16_t>(load(payload, 6, 2));
  out.encoding = payload[8];
  if (out.heads == 0 || out.tokens == 0 || out.encoding > 1) {
    return Refusal{kBadValue, "PROGRAM: " + number_of(out.heads) + " heads, " +
                                  number_of(out.tokens) + " tokens, encoding " +
                                  number_of(out.encoding)};
  }
  return out;
}

Parsed<CancelRequest> parse_cancel(View payload) {
  if (payload.size() != 16) return wrong_size("CANCEL", payload.size(), 16);
  return CancelRequest{load_id(payload, 0)};
}

Parsed<FaultRequest> parse_fault(View payload) {
  if (payload.size() != 16) return wrong_size("FAULT", payload.size(), 16);
  if (load(payload, 2, 2) != 0) return reserved("FAULT");
  return FaultRequest{static_cast<std::uint16_t>(load(payload, 0, 2)),
                      static_cast<std::uint32_t>(load(payload, 4, 4)), load(payload, 8, 8)};
}

Parsed<SubmitRequest> parse_submit(View payload) {
  if (payload.size() < 56) return wrong_size("SUBMIT", payload.size(), 56);
  if (load(payload, 52, 4) != 0) return reserved("SUBMIT");
  SubmitRequest out;
  out.job = load_id(payload, 0);
  out.epoch = load(payload, 16, 8);
  out.remaining_us = load(payload, 24, 8);
  out.seed = load(payload, 32, 8);
  out.program = static_cast<std::uint32_t>(load(payload, 40, 4));
  out.tokens = static_cast<std::uint16_t>(load(payload, 44, 2));
  out.ancillas = static_cast<std::uint16_t>(load(payload, 46, 2));
  out.reads = static_cast<std::uint16_t>(load(payload, 48, 2));
  out.penalty = static_cast<std::int8_t>(payload[50]);
  out.tie = static_cast<std::int8_t>(payload[51]);
  out.problem = payload.subspan(56);
  return out;
}

Parsed<IsingProblem> parse_problem(const SubmitRequest& submit, const ProgramRequest& program,
                                   int max_spins) {
  const bool dense = program.encoding == 1;
  if (submit.tokens == 0 || submit.tokens > program.tokens) {
    return Refusal{kBadValue, "SUBMIT: " + number_of(submit.tokens) +
                                  " tokens, programmed for 1 to " + number_of(program.tokens)};
  }
  const std::uint64_t spins = static_cast<std::uint64_t>(program.heads) * submit.tokens;
  const std::uint64_t width = spins + submit.ancillas;
  if (width > static_cast<std::uint64_t>(max_spins)) {
    return Refusal{kTooLarge, "SUBMIT: " + number_of(width) +
                                  " spins with ancillas, this machine has " +
                                  number_of(static_cast<std::uint64_t>(max_spins))};
  }
  if (submit.ancillas < 1 || submit.ancillas > 256) {
    return Refusal{kBadValue,
                   "SUBMIT: " + number_of(submit.ancillas) + " ancillas, expected 1 to 256"};
  }
  if (submit.penalty < 0 || submit.tie < 0 || (submit.ancillas == 1 && submit.tie != 0) ||
      (dense && (submit.penalty != 0 || submit.tie != 0))) {
    return Refusal{kBadValue, "SUBMIT: penalty " + std::to_string(submit.penalty) + " and tie " +
                                  std::to_string(submit.tie) + " are out of range"};
  }
  const std::uint64_t n = submit.tokens;
  const std::uint64_t coupling_bytes =
      dense ? width * (width - 1) / 2 : program.heads * (n * (n - 1) / 2);
  const std::uint64_t expected = coupling_bytes + (dense ? 0 : 2 * spins);
  if (submit.problem.size() != expected)
    return wrong_size("SUBMIT", submit.problem.size() + 56, expected + 56);

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
    for (std::size_t i = 0; i < spins; ++i) {
      out.fields[i] = static_cast<std::int16_t>(load(submit.problem, 2 * i, 2));
      if (std::abs(static_cast<int>(out.fields[i])) > 127 * out.ancillas) {
        return Refusal{kBadValue, "SUBMIT: field " + std::to_string(out.fields[i]) + " of spin " +
                                      number_of(i) + ", expected at most 127 times " +
                                      number_of(submit.ancillas)};
      }
    }
  }
  const View couplings = submit.problem.last(coupling_bytes);
  out.couplings.resize(coupling_bytes);
  if (!couplings.empty()) std::memcpy(out.couplings.data(), couplings.data(), couplings.size());
  if (std::find(out.couplings.begin(), out.couplings.end(), std::int8_t{-128}) !=
      out.couplings.end()) {
    return Refusal{kBadValue, "SUBMIT: a coupling is -128, expected -127 to 127"};
  }
  return out;
}

Bytes hello_ack(const Capabilities& c) {
  Bytes out;
  store(out, c.version, 2);
  store(out, c.flags, 2);
  store(out, c.max_frame, 4);
  store(out, c.epoch, 8);
  store(out, c.token);
  store(out, c.max_spins, 4);
  store(out, c.coupling_bits, 1);
  store(out, c.encodings, 1);
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
  out.reserve(80 + a.packed.size());
  store(out, a.job);
  store(out, a.epoch, 8);
  store(out, static_cast<std::uint64_t>(a.energy), 8);
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

Bytes cancel_ack(const Id& job, std::uint8_t outcome) {
  Bytes out;
  store(out, job);
  store(out, outcome, 1);
  return out;
}

Bytes frame(std::uint8_t type, std::uint64_t request, View payload, std::uint16_t status) {
  Bytes out;
  out.reserve(kHeaderSize + payload.size());
  out.insert(out.end(), std::begin(kMagic), std::end(kMagic));
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
    if (signs[i] > 0) out[i / 8] = static_cast<std::uint8_t>(out[i / 8] | (1U << (i % 8)));
  }
  return out;
}

}  // namespace qama::emulator
