// SHA-256 of bytes, as sha256sum prints it.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace qama::platform {

/// 64 hexadecimal digits, of the parts one behind the other.
[[nodiscard]] std::string sha256_hex(std::initializer_list<std::span<const std::byte>> parts);

[[nodiscard]] inline std::string sha256_hex(std::span<const std::byte> bytes) {
  return sha256_hex({bytes});
}

[[nodiscard]] inline std::string sha256_hex(std::string_view bytes) {
  return sha256_hex({std::as_bytes(std::span(bytes))});
}

}  // namespace qama::platform
