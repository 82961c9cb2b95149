#include "hal/cim/cloud_options.h"

#include <algorithm>

#include "hal/base/valid_utf8.h"
#include "hal/cim/address.h"
#include "hal/cim/link_options.h"
#include "hal/cim/quantised_view.h"

namespace qama::hal::cim {
namespace {

/// What the options name before it is read.
struct Named {
  std::string_view login_host, authority, user_id_file, sdk_code_file;
  bool others_may = false;
};

/// A machine's name, such as CPQC-550.
bool is_machine(std::string_view text) {
  constexpr std::size_t kLongest = 64;
  return !text.empty() && text.size() <= kLongest &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

bool take_option(CloudOptions& out, Named& named, std::string_view key, std::string_view value) {
  if (key == "ancillas") return number_in(value, 0, kMaxAncillas, out.ancillas);
  if (key == "spins") return number_in(value, 2, kMaxMachineSpins, out.spins);
  if (key == "in_flight") return number_in(value, 1, kMaxInFlight, out.in_flight);
  if (key == "timeout_ms") return number_in(value, 1, 86'400'000, out.timeout_ms);
  if (key == "insecure_permissions") {
    named.others_may = value == "1";
    return value == "0" || value == "1";
  }
  if (key == "machine") {
    out.machine = std::string(value);
    return is_machine(value);
  }
  std::string_view* text = key == "login_host"      ? &named.login_host
                           : key == "ca"            ? &named.authority
                           : key == "user_id_file"  ? &named.user_id_file
                           : key == "sdk_code_file" ? &named.sdk_code_file
                                                    : nullptr;
  if (text == nullptr || value.empty()) return false;
  *text = value;
  return true;
}

/// The first line of a file that its owner alone may use. It goes into JSON.
Result<Secret> read_line(std::string_view path, std::string_view what, const Named& named) {
  if (path.empty())
    return make_error(ErrorCode::device_auth, "the cloud needs a ", what,
                      ": expected '?user_id_file=FILE&sdk_code_file=FILE'");
  const std::string name(path);
  QAMA_ASSIGN_OR_RETURN(const Secret bytes,
                        read_secret({name, what, "'insecure_permissions=1'", named.others_may}));
  const std::string_view line = first_line(bytes.view());
  if (!line.empty() && is_utf8(line)) return Secret(line);
  return make_error(ErrorCode::device_auth, what, " ", quote(path), ": its first line is ",
                    line.empty() ? "empty" : "no UTF-8");
}

Result<HttpPeer> peer_of(std::string_view address, bool tls) {
  const std::size_t colon = std::min(address.rfind(':'), address.size());
  const bool bracketed = address.ends_with(']');
  const std::string_view host = bracketed ? address : address.substr(0, colon);
  if (!is_url_host(host)) return bad_address(address, "expected HOST or HOST:PORT");
  if (host.size() < address.size() && !is_port(address.substr(colon + 1)))
    return bad_address(address, "expected a port of 1 to 65535");
  if (!tls && host != "127.0.0.1" && host != "localhost" && host != "[::1]") {
    return make_error(ErrorCode::device_auth, "host ", quote(host),
                      " is not loopback: plain HTTP is refused there, expected qboson-cloud://");
  }
  return HttpPeer{sentence(tls ? "https://" : "http://", address), {}, "the cloud"};
}

}  // namespace

Result<CloudOptions> parse_cloud_options(std::string_view rest, bool tls) {
  CloudOptions out;
  Named named;
  const std::string_view address = rest.substr(0, rest.find('?'));
  const std::string_view query = rest.substr(std::min(address.size() + 1, rest.size()));
  QAMA_ASSIGN_OR_RETURN(out.tasks, peer_of(address, tls));
  if (const auto twice = repeated_option(query))
    return bad_address(address, sentence("option ", quote(*twice), " is given twice"));
  const auto refused = refused_option(
      query, [&](auto key, auto value) { return take_option(out, named, key, value); });
  if (refused) {
    // Without the value, which may be a secret in the wrong place.
    const auto key = refused->substr(0, refused->find('='));
    return make_error(ErrorCode::device_unknown, "device address of the cloud at ", quote(address),
                      ": option ", quote(key), " is unknown or out of range");
  }
  QAMA_ASSIGN_OR_RETURN(out.login,
                        peer_of(named.login_host.empty() ? address : named.login_host, tls));
  out.tasks.authority = out.login.authority = std::string(named.authority);
  QAMA_ASSIGN_OR_RETURN(out.user_id, read_line(named.user_id_file, "user id file", named));
  QAMA_ASSIGN_OR_RETURN(out.sdk_code, read_line(named.sdk_code_file, "SDK code file", named));
  return out;
}

}  // namespace qama::hal::cim
