// The one device of a board, for the program that compares spins (tests/hal/cpu/spin_checksum.cpp):
// with the annealers of all forms.
#include "hal/cpu/cpu_device.h"
#include "hal/device.h"

namespace qama::hal {

Result<std::shared_ptr<Device>> open_device(std::string_view uri) {
  constexpr std::string_view kScheme = "cpu:";
  if (uri.starts_with(kScheme)) return cpu::open_cpu_device(uri.substr(kScheme.size()));
  return Error{ErrorCode::device_unknown, "a board has the device 'cpu:' only"};
}

}  // namespace qama::hal
