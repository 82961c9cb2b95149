// Fuzz target for the emulator's half of the link: a frame header and the payload of every request,
// and the problem in a SUBMIT under programs of both encodings. The header's CRC is put right, as
// random bytes never carry it.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <variant>

#include "hal/emulator/dynamics.h"
#include "hal/emulator/wire.h"

namespace {

using namespace qama::emulator;

void require(bool condition) {
  if (!condition) std::abort();
}

// An accepted problem must be one that the machine can work on.
void check(const IsingProblem& problem) {
  require(problem.width() >= 2 && problem.width() <= 550);
  require(problem.first_ancilla < problem.width());
  if (problem.width() > 40) return;  // enough is done on small ones
  DynamicsConfig config;
  config.round_trips = 2;
  Annealer annealer(config);
  const std::atomic<bool> stop{false};
  annealer.program(problem);
  require(annealer.read(1, stop));
  require(annealer.signs()[static_cast<std::size_t>(problem.first_ancilla)] == 1);
  require(pack_signs(annealer.signs()).size() == (annealer.signs().size() + 7) / 8);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, data + size);
  Head head;
  (void)parse_head(bytes, kUnknownPeerLimit, head);
  if (size < kHeaderSize) return 0;
  const std::uint32_t crc = checksum(View(bytes).first(28));
  for (std::size_t i = 0; i < 4; ++i) bytes[28 + i] = static_cast<std::uint8_t>(crc >> (8 * i));
  if (parse_head(bytes, kUnknownPeerLimit, head)) require(head.length <= kUnknownPeerLimit);
  const View payload = View(bytes).subspan(kHeaderSize);
  if (const auto hello = parse_hello(payload); std::holds_alternative<HelloRequest>(hello)) {
    require(std::get<HelloRequest>(hello).name.size() <= 63);
  }
  (void)parse_attach(payload);
  (void)parse_ping(payload);
  (void)parse_program(payload);
  (void)parse_cancel(payload);
  (void)parse_fault(payload);
  const auto submit = parse_submit(payload);
  if (const auto* request = std::get_if<SubmitRequest>(&submit)) {
    for (const std::uint8_t encoding : {std::uint8_t{0}, std::uint8_t{1}}) {
      for (const auto& [heads, tokens] :
           {std::pair<std::uint16_t, std::uint16_t>{2, 3}, {8, 64}, {65535, 65535}}) {
        const auto problem = parse_problem(*request, {1, heads, tokens, encoding}, 550);
        if (const auto* ising = std::get_if<IsingProblem>(&problem)) check(*ising);
      }
    }
  }
  return 0;
}
