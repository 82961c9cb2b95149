// Sentences for errors, put together from texts and numbers. Header only.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>

#include "hal/base/error.h"

namespace qama {

/// The parts in a row: texts as they are, numbers in decimal, of which the smallest is not 0. Text
/// from outside goes through quote() first.
template <typename... Parts>
[[nodiscard]] std::string sentence(const Parts&... parts) {
  std::string out;
  const auto append = [&out](const auto& part) {
    if constexpr (std::is_floating_point_v<std::decay_t<decltype(part)>>) {
      char digits[32];
      std::snprintf(digits, sizeof digits, "%.9g", static_cast<double>(part));
      out += digits;
    } else if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>) {
      out += std::to_string(part);
    } else {
      out += std::string_view(part);
    }
  };
  (append(parts), ...);
  return out;
}

/// An error whose message is sentence(parts...).
template <typename... Parts>
[[nodiscard]] Error make_error(ErrorCode code, const Parts&... parts) {
  return {code, sentence(parts...)};
}

}  // namespace qama
