// The list of devices: to add one, add its folder and its line in kSchemes (and in list_devices, if
// it needs no address). A scheme whose devices are at HOST:PORT takes several with commas between:
// a pool (pool.h).
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/base/valid_utf8.h"
#include "hal/cpu/cpu_device.h"
#include "hal/device.h"
#include "hal/exact/exact_device.h"
#include "hal/published/published_device.h"
#include "hal/reopen.h"
#if !QAMA_CORE_ONLY
#include "hal/cim/cim_device.h"
#include "hal/csv/csv_device.h"
#include "hal/pool.h"
#endif

namespace qama::hal {
namespace {

using OpenFunction = Result<std::shared_ptr<Device>> (*)(std::string_view rest);

struct Scheme {
  std::string_view prefix;
  OpenFunction open;
  std::string_view example;
  FormSet forms = {Form::dense};  ///< what every device of the scheme says of itself
  bool touches_nothing = false;   ///< opening a device asks no machine and makes no file
};

Status nothing_behind(std::string_view scheme, std::string_view rest) {
  if (rest.empty()) return {};
  return make_error(ErrorCode::device_unknown, "device ", quote(std::string(scheme).append(rest)),
                    ": expected '", scheme, "' and nothing behind it");
}

Result<std::shared_ptr<Device>> open_exact(std::string_view rest) {
  QAMA_RETURN_IF_ERROR(nothing_behind("exact:", rest));
  return exact::open_exact_device();
}

Result<std::shared_ptr<Device>> open_published(std::string_view rest) {
  QAMA_RETURN_IF_ERROR(nothing_behind("published:", rest));
  return published::open_published_device();
}

constexpr std::array kSchemes = {
    Scheme{"cpu:", cpu::open_cpu_device, "cpu:[KERNEL]", cpu::kCpuForms, true},
    Scheme{"exact:", open_exact, "exact:", {Form::dense}, true},
    Scheme{"published:", open_published, "published:", {Form::dense}, true},
#if !QAMA_CORE_ONLY  // neither files nor a network
    Scheme{"csv:", csv::open_csv_device, "csv:DIR"},
    Scheme{"cim://", cim::open_cim_device, "cim://HOST:PORT"},
    Scheme{"cims://", cim::open_cims_device, "cims://HOST:PORT?..."},
    Scheme{"qboson+http://", cim::open_qboson_http_device, "qboson+http://HOST:PORT?..."},
    Scheme{"qboson+https://", cim::open_qboson_https_device, "qboson+https://HOST:PORT?..."},
    Scheme{"qboson-cloud://", cim::open_qboson_cloud_device, "qboson-cloud://HOST?..."},
    Scheme{"qboson-cloud+http://", cim::open_qboson_cloud_http_device,
           "qboson-cloud+http://HOST:PORT?..."},
#endif
};

#if !QAMA_CORE_ONLY
/// "HOST:PORT,HOST:PORT?OPTIONS": the options are those of every machine. One that is down now may
/// join later; if all are, the first one's error.
Result<std::shared_ptr<Device>> open_pool(const Scheme& scheme, std::string_view rest) {
  const std::size_t end = std::min(rest.find('?'), rest.size());
  std::string_view hosts = rest.substr(0, end);
  std::vector<std::string> uris;
  while (!hosts.empty()) {
    const std::size_t comma = std::min(hosts.find(','), hosts.size());
    uris.push_back(sentence(scheme.prefix, hosts.substr(0, comma), rest.substr(end)));
    const bool empty = comma == 0 || comma + 1 == hosts.size();
    if (empty || std::find(uris.begin(), uris.end() - 1, uris.back()) != uris.end() - 1) {
      return make_error(ErrorCode::device_unknown, "device address ", quote(rest),
                        ": expected a list of different machines with commas between");
    }
    hosts.remove_prefix(std::min(comma + 1, hosts.size()));
  }
  std::vector<Result<std::shared_ptr<Device>>> opened;
  const Device* reached = nullptr;
  for (const std::string& uri : uris) {
    opened.push_back(open_device(uri));
    if (opened.back().ok() && reached == nullptr) reached = opened.back()->get();
  }
  if (reached == nullptr) return opened.front();
  std::vector<std::shared_ptr<Device>> machines;
  for (std::size_t i = 0; i < uris.size(); ++i) {
    if (!opened[i].ok()) opened[i] = open_device_or_retry(uris[i], reached->info().max_in_flight);
    QAMA_ASSIGN_OR_RETURN(auto machine, std::move(opened[i]));
    machines.push_back(std::move(machine));
  }
  PoolOptions options;
  options.uri = sentence(scheme.prefix, rest);
  options.repeats_late_jobs = scheme.prefix.starts_with("cim");
  return make_pool(std::move(machines), std::move(options));
}
#else
Result<std::shared_ptr<Device>> open_pool(const Scheme& scheme, std::string_view rest) {
  return scheme.open(rest);
}
#endif

Result<const Scheme*> scheme_of(std::string_view uri) {
  // It ends up in reports, which are JSON.
  if (!is_utf8(uri))
    return make_error(ErrorCode::device_unknown, "device ", quote(uri), ": expected UTF-8");
  std::string known;
  for (const Scheme& scheme : kSchemes) {
    if (uri.starts_with(scheme.prefix)) return &scheme;
    if (!known.empty()) known += ", ";
    known += scheme.example;
  }
  return make_error(ErrorCode::device_unknown, "device ", quote(uri.substr(0, 64)),
                    ": expected one of ", known);
}

}  // namespace

Status check_unused_device(std::string_view uri) {
  QAMA_ASSIGN_OR_RETURN(const Scheme* scheme, scheme_of(uri));
  if (!scheme->touches_nothing) return {};
  QAMA_ASSIGN_OR_RETURN(const auto opened, scheme->open(uri.substr(scheme->prefix.size())));
  return {};
}

FormSet forms_of(std::string_view uri) noexcept {
  for (const Scheme& scheme : kSchemes) {
    if (uri.starts_with(scheme.prefix)) return scheme.forms;
  }
  return {};
}

Result<std::shared_ptr<Device>> open_device(std::string_view uri) {
  QAMA_ASSIGN_OR_RETURN(const Scheme* scheme, scheme_of(uri));
  const std::string_view rest = uri.substr(scheme->prefix.size());
  const bool many = scheme->prefix.ends_with("://") &&
                    rest.substr(0, rest.find('?')).find(',') != std::string_view::npos;
  return many ? open_pool(*scheme, rest) : scheme->open(rest);
}

#if QAMA_CORE_ONLY
Result<std::shared_ptr<Device>> open_device_or_retry(std::string_view uri,
                                                     std::int32_t /*in_flight*/) {
  return open_device(uri);
}
#endif

std::vector<DeviceListing> list_devices() {
  std::vector<DeviceListing> out = cpu::list_cpu_devices();
  out.push_back({"exact:", "exhaustive search, at most 24 spins", true, "for proof"});
  out.push_back(
      {"published:", "the annealer that the paper's authors train with", true, "for comparison"});
  return out;
}

}  // namespace qama::hal
