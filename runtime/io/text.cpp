#include "runtime/io/text.h"

#include <string>

#include "hal/base/quote.h"

namespace qama::io {
namespace {

/// Bytes of the UTF-8 sequence that begins `text`; 0 if there is no valid one (RFC 3629: no
/// overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t sequence_bytes(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

}  // namespace

Status check_utf8(std::string_view text, std::string_view name) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = text[at] == '\0' ? 0 : sequence_bytes(text.substr(at));
    if (length == 0) {
      return Error{
          ErrorCode::text_bad_encoding,
          "text " + quote(name) + ": byte " + std::to_string(at) + " is not valid UTF-8 text"};
    }
    at += length;
  }
  return {};
}

}  // namespace qama::io
