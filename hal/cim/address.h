// What the addresses of both drivers have in common: HOST:PORT?NAME=VALUE&NAME=VALUE.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama::hal::cim {

/// An address behind its scheme, in two parts; `port` is what follows the last colon.
struct AddressParts {
  std::string_view host, port, query;
};
/// `host` is empty if there is no HOST:PORT.
[[nodiscard]] inline AddressParts split_address(std::string_view rest) noexcept {
  const std::size_t question = std::min(rest.find('?'), rest.size());
  const std::string_view address = rest.substr(0, question);
  AddressParts out;
  if (question < rest.size()) out.query = rest.substr(question + 1);
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return out;
  out.host = address.substr(0, colon);
  out.port = address.substr(colon + 1);
  return out;
}

/// Whether `value` is a decimal number from `low` to `high`; then it is in `to`.
template <typename Number>
[[nodiscard]] bool number_in(std::string_view value, Number low, Number high, Number& to) noexcept {
  const char* const end = value.data() + value.size();
  const auto got = std::from_chars(value.data(), end, to);
  return got.ec == std::errc{} && got.ptr == end && to >= low && to <= high;
}

/// Whether `text` is the number of a port.
[[nodiscard]] inline bool is_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  return number_in<std::uint16_t>(text, 1, 65535, port);
}

/// Whether `host` can stand in a URL: an IPv6 address is in brackets there, and no user before an
/// @.
[[nodiscard]] inline bool is_url_host(std::string_view host) noexcept {
  if (host.size() > 2 && host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return false;
  return !host.empty() && host.find_first_of("[]/@#\\ ,") == std::string_view::npos;
}

/// Calls take(key, value) for every item of `query`; take() says whether it accepts the pair.
/// Returns the first item that was not accepted, or nothing.
template <typename Take>
[[nodiscard]] std::optional<std::string_view> refused_option(std::string_view query,
                                                             const Take& take) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view item = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = std::min(item.find('='), item.size());
    const std::string_view value =
        equals < item.size() ? item.substr(equals + 1) : std::string_view{};
    if (!take(item.substr(0, equals), value)) return item;
  }
  return std::nullopt;
}

/// The key that `query` has twice, or nothing.
[[nodiscard]] inline std::optional<std::string_view> repeated_option(std::string_view query) {
  std::vector<std::string_view> seen;
  std::optional<std::string_view> twice;
  static_cast<void>(refused_option(query, [&](std::string_view key, std::string_view) {
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) twice = key;
    seen.push_back(key);
    return !twice;
  }));
  return twice;
}

/// DEVICE_UNKNOWN: the address and what is wrong with it. What stands before an @ is left out: it
/// may be a password.
[[nodiscard]] inline Error bad_address(std::string_view rest, std::string_view what) {
  const std::size_t at = rest.substr(0, rest.find('?')).rfind('@');
  const bool user = at != std::string_view::npos;
  return make_error(ErrorCode::device_unknown, "device address ",
                    quote(user ? sentence("...", rest.substr(at)) : std::string(rest)), ": ", what,
                    user ? " without a user" : "");
}

}  // namespace qama::hal::cim
