// Names that come from outside (paths, words, options), made fit for an error sentence. Header
// only.
#pragma once

#include <string>
#include <string_view>

#include "hal/base/utf8.h"

namespace qama {

/// `text` in single quotes, fit for a terminal and for JSON: control characters and bytes that are
/// no UTF-8 as \xNN, cut after 160 bytes. A sentence stays one line.
[[nodiscard]] inline std::string quote(std::string_view text) {
  constexpr std::size_t kLongest = 160;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "'";
  std::size_t at = 0;
  while (at < text.size() && at < kLongest) {
    const std::size_t length = utf8_length(text.substr(at));
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0 || byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
      ++at;
    } else {
      out += text.substr(at, length);
      at += length;
    }
  }
  if (at < text.size()) out += "...";
  return out + "'";
}

}  // namespace qama
