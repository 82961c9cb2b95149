#include "hal/emulator/fault.h"

#include "hal/emulator/wire.h"

namespace qama::emulator {

bool FaultPlan::strikes(FaultKind kind) {
  FaultSetting& setting = (*this)[kind];
  if (setting.parts_per_million == 0 || number(1'000'000) >= setting.parts_per_million)
    return false;
  ++setting.injected;
  return true;
}

std::chrono::microseconds FaultPlan::time_of(FaultKind kind, std::chrono::microseconds otherwise) {
  const std::uint64_t argument = (*this)[kind].argument;
  return argument == 0 ? otherwise : std::chrono::microseconds(argument);
}

void FaultPlan::damage_result(Bytes& payload) {
  if (strikes(FaultKind::flip_before_crc)) {
    const std::size_t spin = number((payload.size() - kResultFixedSize) * 8 / 2);
    payload[kResultFixedSize + spin / 8] ^= static_cast<std::uint8_t>(1U << (spin % 8));
  }
  if (strikes(FaultKind::wrong_size)) drop_last_spin(payload);
}

void FaultPlan::damage_frame(Bytes& frame, std::size_t header_bytes) {
  if (!strikes(FaultKind::flip_in_transit)) return;
  const bool in_header = (*this)[FaultKind::flip_in_transit].argument == 1;
  const std::size_t first = in_header ? 0 : header_bytes;
  const std::size_t last = in_header ? header_bytes : frame.size();
  const std::size_t at = first + number(last - first);
  frame[at] ^= static_cast<std::uint8_t>(1U << number(8));
}

}  // namespace qama::emulator
