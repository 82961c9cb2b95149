#include "hal/platform/sha256.h"

#include "hal/base/hexadecimal.h"

#if QAMA_SHA256_OPENSSL
// The functions of before version 3: EVP's would first read OpenSSL's configuration and look for
// providers, a millisecond. These take no memory and cannot fail.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#elif __has_include(<sha2.h>)
#include <sha2.h>
#else
#include "hal/platform/sha256_own.h"
#endif

namespace qama::platform {
namespace {

using Digest = std::array<std::uint8_t, 32>;

#if QAMA_SHA256_OPENSSL
using Context = SHA256_CTX;
constexpr auto kInit = SHA256_Init;
constexpr auto kUpdate = SHA256_Update;
constexpr auto kFinal = SHA256_Final;
#elif __has_include(<sha2.h>)
using Context = SHA2_CTX;
constexpr auto kInit = SHA256Init;
constexpr auto kUpdate = SHA256Update;
constexpr auto kFinal = SHA256Final;
#else
using Context = OwnSha256;
constexpr auto kInit = [](Context* context) { *context = Context(); };
constexpr auto kUpdate = [](Context* context, const std::uint8_t* bytes, std::size_t size) {
  context->add({bytes, size});
};
constexpr auto kFinal = [](std::uint8_t* out, Context* context) { context->end(out); };
#endif

class Sha256 {
 public:
  Sha256() noexcept { kInit(&context_); }
  void add(std::span<const std::uint8_t> bytes) noexcept {
    kUpdate(&context_, bytes.data(), bytes.size());
  }
  Digest end() noexcept {
    Digest out;
    kFinal(out.data(), &context_);
    return out;
  }

 private:
  Context context_;
};

}  // namespace

std::string sha256_hex(std::initializer_list<std::span<const std::byte>> parts) {
  Sha256 hash;
  for (const auto part : parts)
    hash.add({reinterpret_cast<const std::uint8_t*>(part.data()), part.size()});
  return hexadecimal(hash.end());
}

std::array<std::uint8_t, 32> hmac_sha256(std::span<const std::uint8_t, 16> key,
                                         std::span<const std::uint8_t> text) noexcept {
  const auto keyed = [key](std::uint8_t pad, std::span<const std::uint8_t> bytes) {
    std::array<std::uint8_t, 64> block;
    block.fill(pad);
    for (std::size_t i = 0; i < key.size(); ++i) block[i] ^= key[i];
    Sha256 hash;
    hash.add(block);
    hash.add(bytes);
    return hash.end();
  };
  return keyed(0x5C, keyed(0x36, text));
}

}  // namespace qama::platform
