// Texts from outside: how long they may be and the check on their bytes. Tokenising is
// preprocessing, see runtime/engine/preprocess.h.
#pragma once

#include <cstddef>
#include <string_view>

#include "hal/base/result.h"

namespace qama::io {

inline constexpr std::size_t kMaxTextBytes = std::size_t{16} << 20;
/// U+FEFF in UTF-8, which some editors put before a text.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Ok, or TEXT_BAD_ENCODING with the place: not UTF-8, or a zero byte (a binary file); UTF-16 is
/// named. `name` is for the sentence.
[[nodiscard]] Status check_utf8(std::string_view text, std::string_view name);

}  // namespace qama::io
