#include "weights/quoted_name.h"

namespace qama::weights {

std::string quoted_name(std::string_view name) {
  constexpr std::size_t kMaxShown = 96;
  constexpr char kHex[] = "0123456789abcdef";
  std::string text = "'";
  for (const char c : name.substr(0, kMaxShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7F) {
      text += "\\x";
      text += kHex[byte >> 4U];
      text += kHex[byte & 15U];
    } else {
      text += c;
    }
  }
  return text + (name.size() > kMaxShown ? "...'" : "'");
}

}  // namespace qama::weights
