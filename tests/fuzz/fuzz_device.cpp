// Fuzz target: device URIs with their options. Nothing is connected to: a URI of a device on the
// network is parsed as its driver does, and what the driver would say to its peer is printed.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "hal/cim/cloud_options.h"
#include "hal/cim/link_options.h"
#include "hal/cim/vendor_messages.h"
#include "hal/cim/vendor_options.h"
#include "hal/device.h"
#include "tests/fuzz/fuzz_files.h"

namespace {

using qama::ErrorCode;

void check(const qama::Error& error) {
  const bool expected = error.code == ErrorCode::device_unknown ||
                        error.code == ErrorCode::device_auth ||
                        error.code == ErrorCode::device_unavailable ||
                        error.code == ErrorCode::unsupported || error.code == ErrorCode::io_error;
  if (!expected || error.message.empty()) std::abort();
}

void parse(std::string_view rest, bool tls) {
  namespace cim = qama::hal::cim;
  const auto link = cim::parse_link_options(rest, tls);
  if (!link.ok()) check(link.error());
  if (link.ok() && (link->endpoint.port == 0 || link->in_flight < 1 ||
                    link->in_flight > cim::kMaxInFlight || link->timeout_ms < 1)) {
    std::abort();
  }
  // A path could name what never ends, such as a terminal.
  for (const char* file : {"password_file=", "user_id_file=", "sdk_code_file="}) {
    if (rest.find(file) != std::string_view::npos) return;
  }
  const auto cloud = cim::parse_cloud_options(rest, tls);
  if (cloud.ok()) std::abort();  // who is it?
  check(cloud.error());
  const auto vendor = cim::parse_vendor_options(rest, tls);
  if (!vendor.ok()) return check(vendor.error());
  if (vendor->timeout_ms < 1 || vendor->user.empty()) std::abort();
  if (cim::login_body(vendor->user, vendor->password).empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int environment = ::setenv("QAMA_QBOSON_PASSWORD", "secret", 1);
  if (environment != 0) std::abort();
  const std::string uri = qama::fuzz::text_of({data, size});
  const auto forms = qama::hal::forms_of(uri);
  const bool network = uri.starts_with("cim") || uri.starts_with("qboson");
  if (!network) {
    const auto device = qama::hal::open_device(uri);
    if (!device.ok()) check(device.error());
    // Which forms a device takes is known before it is opened.
    if (device.ok() && (*device)->forms().text() != forms.text()) std::abort();
  }
  const std::size_t scheme = uri.find("://");
  const std::string_view rest = scheme == std::string::npos
                                    ? std::string_view(uri)
                                    : std::string_view(uri).substr(scheme + 3);
  parse(rest, false);
  parse(rest, true);
  return 0;
}
