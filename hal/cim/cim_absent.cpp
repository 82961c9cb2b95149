// In place of the link and the vendor driver in a build with QAMA_WITH_CIM=OFF.
#include "hal/cim/cim_device.h"

namespace qama::hal::cim {
namespace {

Error absent(const char* scheme) {
  // Not DEVICE_UNAVAILABLE: it does not mend itself, so nothing stands in for it.
  return {ErrorCode::unsupported,
          std::string("device '") + scheme +
              "': this build has no coherent Ising machine (QAMA_WITH_CIM=OFF)"};
}

}  // namespace

Result<std::shared_ptr<Device>> open_cim_device(std::string_view) {
  return absent("cim://");
}
Result<std::shared_ptr<Device>> open_cims_device(std::string_view) {
  return absent("cims://");
}
Result<std::shared_ptr<Device>> open_qboson_http_device(std::string_view) {
  return absent("qboson+http://");
}
Result<std::shared_ptr<Device>> open_qboson_https_device(std::string_view) {
  return absent("qboson+https://");
}
Result<std::shared_ptr<Device>> open_qboson_cloud_device(std::string_view) {
  return absent("qboson-cloud://");
}
Result<std::shared_ptr<Device>> open_qboson_cloud_http_device(std::string_view) {
  return absent("qboson-cloud+http://");
}
Status inject_fault(Device&, int, unsigned, unsigned long long) {
  return absent("cim://");
}

}  // namespace qama::hal::cim
