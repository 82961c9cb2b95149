// The part of a device's address behind '?': NAME=VALUE&NAME=VALUE. Both drivers of this folder
// read theirs with it.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qama::hal::cim {

/// Whether `value` is a decimal number of [low, high]; then it is in `to`.
inline bool number_in(std::string_view value, std::int32_t low, std::int32_t high,
                      std::int32_t& to) {
  const auto got = std::from_chars(value.data(), value.data() + value.size(), to);
  return got.ec == std::errc{} && got.ptr == value.data() + value.size() && to >= low && to <= high;
}

/// Calls take(key, value), which says whether it knows and accepts the pair, for every item of
/// `query`. Returns the first item that was not accepted, or nothing.
template <typename Take>
std::optional<std::string_view> refused_option(std::string_view query, const Take& take) {
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

}  // namespace qama::hal::cim
