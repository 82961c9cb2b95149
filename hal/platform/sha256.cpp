#include "hal/platform/sha256.h"

#if QAMA_SHA256_OPENSSL
// The functions of before version 3: EVP's would first read OpenSSL's configuration and look for
// providers, a millisecond.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#else
#include <sha2.h>
#endif

#include <cstdint>

namespace qama::platform {

std::string sha256_hex(std::initializer_list<std::span<const std::byte>> parts) {
  constexpr char kHex[] = "0123456789abcdef";
  std::uint8_t digest[32];
#if QAMA_SHA256_OPENSSL
  SHA256_CTX context;
  SHA256_Init(&context);
  for (const auto part : parts) SHA256_Update(&context, part.data(), part.size());
  SHA256_Final(digest, &context);
#else
  SHA2_CTX context;
  SHA256Init(&context);
  for (const auto part : parts) {
    SHA256Update(&context, reinterpret_cast<const std::uint8_t*>(part.data()), part.size());
  }
  SHA256Final(digest, &context);
#endif
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += kHex[byte >> 4U];
    text += kHex[byte & 15U];
  }
  return text;
}

}  // namespace qama::platform
