// SHA-256 of bytes, as sha256sum prints it, and HMAC with it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
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
  return sha256_hex({std::as_bytes(std::span(bytes.data(), bytes.size()))});
}

/// RFC 2104, for keys of 16 bytes. Takes no memory, so there always is a digest.
[[nodiscard]] std::array<std::uint8_t, 32> hmac_sha256(std::span<const std::uint8_t, 16> key,
                                                       std::span<const std::uint8_t> text) noexcept;

}  // namespace qama::platform
