// Bytes as text. Header only.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace qama {

/// Two lower-case hexadecimal digits for each byte.
[[nodiscard]] inline std::string hexadecimal(std::span<const std::uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

}  // namespace qama
