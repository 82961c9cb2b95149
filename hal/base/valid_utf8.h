// Whether a text from outside may enter a report. Header only.
#pragma once

#include <string_view>

#include "hal/base/utf8.h"

namespace qama {

/// Whether all of `text` is UTF-8.
[[nodiscard]] constexpr bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace qama
