#include "hal/cim/vendor_options.h"

#include <algorithm>
#include <cstdlib>

#include "hal/base/valid_utf8.h"
#include "hal/cim/address.h"
#include "hal/cim/quantised_view.h"

namespace qama::hal::cim {
namespace {

bool is_identifier(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
  });
}

struct PasswordFile {
  std::string path;
  bool others_may = false;
};

bool take_option(VendorOptions& out, PasswordFile& file, std::string_view key,
                 std::string_view value) {
  if (key == "insecure_permissions") {
    file.others_may = value == "1";
    return value == "0" || value == "1";
  }
  if (key == "ancillas") return number_in(value, 0, kMaxAncillas, out.ancillas);
  if (key == "timeout_ms") return number_in(value, 1, 3'600'000, out.timeout_ms);
  std::string* text = key == "machine_id"      ? &out.machine_id
                      : key == "user"          ? &out.user
                      : key == "password_file" ? &file.path
                                               : nullptr;
  if (text == nullptr) return false;
  *text = std::string(value);
  // The name goes into JSON.
  return text == &out.machine_id ? is_identifier(value) : text != &out.user || is_utf8(value);
}

Status read_password(VendorOptions& out, const PasswordFile& file) {
  if (!file.path.empty()) {
    QAMA_ASSIGN_OR_RETURN(
        const Secret bytes,
        read_secret({file.path, "password file", "'insecure_permissions=1'", file.others_may}));
    out.password = Secret(first_line(bytes.view()));
  } else if (const char* password = std::getenv("QAMA_QBOSON_PASSWORD")) {
    out.password = Secret(password);
  }
  if (!out.user.empty() && !out.password.empty()) return {};
  return Error{ErrorCode::device_auth,
               "the terminal needs '?user=NAME' and a password in '&password_file=FILE' or in "
               "QAMA_QBOSON_PASSWORD"};
}

}  // namespace

Result<VendorOptions> parse_vendor_options(std::string_view rest, bool tls) {
  const std::string_view address = rest.substr(0, rest.find('?'));
  const AddressParts parts = split_address(rest);
  if (!is_url_host(parts.host)) return bad_address(address, "expected HOST:PORT");
  if (!is_port(parts.port)) return bad_address(address, "expected a port of 1 to 65535");
  if (!tls && parts.host != "127.0.0.1" && parts.host != "localhost" && parts.host != "[::1]") {
    return make_error(ErrorCode::device_auth, "host ", quote(parts.host),
                      " is not loopback: plain HTTP is refused there, expected qboson+https://");
  }
  VendorOptions out;
  out.peer = {sentence(tls ? "https://" : "http://", address), {}, "the terminal"};
  PasswordFile password_file;
  if (const auto twice = repeated_option(parts.query))
    return bad_address(address, sentence("option ", quote(*twice), " is given twice"));
  const auto refused = refused_option(parts.query, [&](auto key, auto value) {
    return take_option(out, password_file, key, value);
  });
  if (refused) {
    // Without the value, which may be a secret in the wrong place.
    const auto key = refused->substr(0, refused->find('='));
    return bad_address(address, sentence("option ", quote(key), " is unknown or out of range"));
  }
  QAMA_RETURN_IF_ERROR(read_password(out, password_file));
  return out;
}

}  // namespace qama::hal::cim
