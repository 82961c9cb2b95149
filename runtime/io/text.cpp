#include "runtime/io/text.h"

#include <string>

#include "hal/base/quote.h"
#include "hal/base/utf8.h"

namespace qama::io {
Status check_utf8(std::string_view text, std::string_view name) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    return Error{ErrorCode::text_bad_encoding, "text " + quote(name) +
                                                   " is UTF-16, expected UTF-8: convert it, for "
                                                   "example with iconv -f UTF-16 -t UTF-8"};
  }
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
