// Fuzz target for the driver's half of the link: a frame header and the payload of every reply. The
// header's CRC is put right, as random bytes never carry it; what follows must hold whatever the
// bytes say.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "hal/cim/link_codec.h"
#include "hal/verify.h"

namespace {

using namespace qama::hal;
using namespace qama::hal::cim;

void require(bool condition) {
  if (!condition) std::abort();
}

// A small block problem whose answer a RESULT may claim to be.
void check_spins(const JobResult& result) {
  static const std::vector<std::int8_t> couplings(2 * 3, 5);
  static const std::vector<std::int16_t> fields(2 * 3, -7);
  QuantisedView block;
  block.shape = {2, 3};
  block.ancillas = 2;
  block.penalty = 1;
  block.tie = 127;
  block.couplings = couplings;
  block.fields = fields;
  std::uint64_t spins[2] = {};
  if (!unpack_spins(block, result.packed, spins).ok()) return;
  require(spins[0] < 8 && spins[1] < 8);
  static QuantisedEnergy energy(block.shape);
  (void)energy(block, spins);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> bytes(data, data + size);
  (void)decode_header(bytes, kMaxReplyBytes).ok();
  if (size < kFrameHeaderBytes) return 0;
  const std::uint32_t crc = crc32c(std::span<const std::uint8_t>(bytes).first(28));
  for (int i = 0; i < 4; ++i)
    bytes[28 + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(crc >> (8 * i));
  const auto header = decode_header(bytes, kMaxReplyBytes);
  if (header.ok()) require(header->length <= kMaxReplyBytes);
  const auto payload = std::span<const std::uint8_t>(bytes).subspan(kFrameHeaderBytes);
  if (const auto ack = HelloAck::decode(payload); ack.ok()) {
    require(ack->max_spins <= static_cast<std::uint32_t>(kMaxMachineSpins) &&
            ack->name.size() <= kMaxNameBytes);
  }
  (void)AttachAck::decode(payload).ok();
  (void)Pong::decode(payload).ok();
  (void)ProgramAck::decode(payload).ok();
  (void)CancelAck::decode(payload).ok();
  if (const auto error = ErrorReply::decode(payload); error.ok())
    require(error->text.size() <= 255);
  if (const auto result = JobResult::decode(payload); result.ok()) {
    require(result->packed.size() == (result->spins + 7) / 8);
    check_spins(result.value());
  }
  return 0;
}
