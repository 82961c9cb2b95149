// The list of devices: to add one, add its folder and its line in kSchemes (and in list_devices, if
// it needs no address).
#include <array>
#include <string>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/base/valid_utf8.h"
#include "hal/cim/cim_device.h"
#include "hal/cpu/cpu_device.h"
#include "hal/csv/csv_device.h"
#include "hal/device.h"
#include "hal/exact/exact_device.h"

namespace qama::hal {
namespace {

using OpenFunction = Result<std::shared_ptr<Device>> (*)(std::string_view rest);

struct Scheme {
  std::string_view prefix;
  OpenFunction open;
  std::string_view example;
  FormSet forms = {Form::dense};  ///< what every device of the scheme says of itself
};

Result<std::shared_ptr<Device>> open_exact(std::string_view rest) {
  if (!rest.empty()) {
    return Error{ErrorCode::device_unknown, "device 'exact:" + std::string(rest) +
                                                "': expected 'exact:' and nothing behind it"};
  }
  return exact::open_exact_device();
}

constexpr std::array kSchemes = {
    Scheme{"cpu:", cpu::open_cpu_device, "cpu:[KERNEL]", cpu::kCpuForms},
    Scheme{"exact:", open_exact, "exact:"},
    Scheme{"csv:", csv::open_csv_device, "csv:DIR"},
    Scheme{"cim://", cim::open_cim_device, "cim://HOST:PORT"},
    Scheme{"cims://", cim::open_cims_device, "cims://HOST:PORT?..."},
    Scheme{"qboson+http://", cim::open_qboson_http_device, "qboson+http://HOST:PORT?..."},
    Scheme{"qboson+https://", cim::open_qboson_https_device, "qboson+https://HOST:PORT?..."},
    Scheme{"qboson-cloud://", cim::open_qboson_cloud_device, "qboson-cloud://HOST?..."},
    Scheme{"qboson-cloud+http://", cim::open_qboson_cloud_http_device,
           "qboson-cloud+http://HOST:PORT?..."},
};

}  // namespace

FormSet forms_of(std::string_view uri) noexcept {
  for (const Scheme& scheme : kSchemes) {
    if (uri.starts_with(scheme.prefix)) return scheme.forms;
  }
  return {};
}

Result<std::shared_ptr<Device>> open_device(std::string_view uri) {
  // It ends up in reports, which are JSON.
  if (!is_utf8(uri))
    return make_error(ErrorCode::device_unknown, "device ", quote(uri), ": expected UTF-8");
  std::string known;
  for (const Scheme& scheme : kSchemes) {
    if (uri.starts_with(scheme.prefix)) return scheme.open(uri.substr(scheme.prefix.size()));
    if (!known.empty()) known += ", ";
    known += scheme.example;
  }
  return Error{ErrorCode::device_unknown,
               "device '" + std::string(uri.substr(0, 64)) + "': expected one of " + known};
}

std::vector<DeviceListing> list_devices() {
  std::vector<DeviceListing> out = cpu::list_cpu_devices();
  out.push_back({"exact:", "exhaustive search, at most 24 spins", true, "for proof"});
  return out;
}

}  // namespace qama::hal
