// SHA-256 of bytes, as sha256sum prints it.
#pragma once

#include <string>
#include <string_view>

namespace qama::platform {

/// 64 hexadecimal digits.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace qama::platform
