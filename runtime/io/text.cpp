#include "runtime/io/text.h"

#include <string>

#include "hal/base/quote.h"
#include "hal/base/utf8.h"

namespace qama::io {
Status check_utf8(std::string_view text, std::string_view name) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = text[at] == '\0' ? 0 : utf8_length(text.substr(at));
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
