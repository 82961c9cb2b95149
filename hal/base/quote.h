// Names that come from outside (paths, words, options), made fit for an error sentence. Header
// only.
#pragma once

#include <string>
#include <string_view>

namespace qama {

/// `text` in single quotes, control characters as \xNN, cut after 160 bytes: a sentence stays one
/// line.
[[nodiscard]] inline std::string quote(std::string_view text) {
  constexpr std::size_t kLongest = 160;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "'";
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  if (text.size() > kLongest) out += "...";
  return out + "'";
}

}  // namespace qama
