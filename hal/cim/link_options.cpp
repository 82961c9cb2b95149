#include "hal/cim/link_options.h"

#include "hal/cim/address.h"

namespace qama::hal::cim {
namespace {

/// The file that a TLS option names; null for another key.
std::string* tls_file(platform::TlsFiles& files, std::string_view key) {
  if (key == "cert") return &files.certificate;
  if (key == "key") return &files.key;
  if (key == "ca") return &files.authority;
  if (key == "psk") return &files.psk_file;
  return nullptr;
}

bool take_option(LinkOptions& out, std::string_view key, std::string_view value) {
  if (key == "reads") return number_in(value, 1, 65535, out.reads);
  if (key == "ancillas") return number_in(value, 0, kMaxAncillas, out.ancillas);
  if (key == "in_flight") return number_in(value, 1, kMaxInFlight, out.in_flight);
  if (key == "timeout_ms") return number_in(value, 1, 3'600'000, out.timeout_ms);
  if (key == "attempt_ms") return number_in(value, 1, 3'600'000, out.attempt_ms);
  if (key == "encoding") {
    out.encoding = value == "dense" ? Encoding::dense_i8 : Encoding::block_i8;
    return value == "block" || value == "dense";
  }
  if (key == "insecure_permissions" && out.endpoint.tls) {
    out.endpoint.files.others_may = value == "1";
    return value == "0" || value == "1";
  }
  std::string* file = out.endpoint.tls ? tls_file(out.endpoint.files, key) : nullptr;
  if (file == nullptr || value.empty()) return false;
  *file = std::string(value);
  return true;
}

}  // namespace

Result<LinkOptions> parse_link_options(std::string_view rest, bool tls) {
  LinkOptions out;
  out.endpoint.tls = tls;
  AddressParts parts = split_address(rest);
  if (parts.host.empty() || parts.host.find('@') != std::string_view::npos)
    return bad_address(rest, "expected HOST:PORT");
  if (parts.host.size() > 2 && parts.host.front() == '[' && parts.host.back() == ']')
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  out.endpoint.host = std::string(parts.host);
  if (!number_in<std::uint16_t>(parts.port, 1, 65535, out.endpoint.port))
    return bad_address(rest, "expected a port of 1 to 65535");
  if (const auto twice = repeated_option(parts.query))
    return bad_address(rest, sentence("option ", quote(*twice), " is given twice"));
  const auto refused = refused_option(
      parts.query, [&out](auto key, auto value) { return take_option(out, key, value); });
  if (refused)
    return bad_address(rest, sentence("option ", quote(*refused), " is unknown or out of range"));
  return out;
}

}  // namespace qama::hal::cim
