#include "weights/signature.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "hal/base/quote.h"
#include "hal/base/secret.h"

// libsodium's own is in one object with sodium_init(), which reaches every part of the library: a
// static program is 27 kB smaller without it. Nothing here has to be started: Ed25519 has one
// implementation there and asks for no random numbers.
// Weak: a program that links libsodium itself, too, has that one.
extern "C" [[gnu::weak]] void sodium_misuse() {
  std::abort();
}

namespace qama::weights {
namespace {

static_assert(kSignatureBytes == crypto_sign_BYTES);
static_assert(sizeof(PublicKey) == crypto_sign_PUBLICKEYBYTES);

constexpr std::size_t kMostKeyFileBytes = 4096;  // a key in PEM has 113 or 119

/// Bytes that are overwritten at the end.
template <std::size_t n>
struct Wiped {
  unsigned char bytes[n] = {};
  Wiped() = default;
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { sodium_memzero(bytes, n); }
};

// What a PEM file of one kind of key looks like. An Ed25519 key in DER is these bytes and 32 more
// (RFC 8410).
struct KeyForm {
  std::string_view name, begin, end;
  std::array<unsigned char, 16> prefix;
  std::size_t prefix_bytes;
};
constexpr KeyForm kPublic = {
    "public key",
    "-----BEGIN PUBLIC KEY-----",
    "-----END PUBLIC KEY-----",
    {0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00},
    12};
constexpr KeyForm kSecret = {"secret key",
                             "-----BEGIN PRIVATE KEY-----",
                             "-----END PRIVATE KEY-----",
                             {0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65,
                              0x70, 0x04, 0x22, 0x04, 0x20},
                             16};

Error key_error(const std::string& path, const std::string& what) {
  return Error{ErrorCode::invalid_argument, "key file " + quote(path) + ": " + what};
}

/// At most `most` bytes of a regular file, and its size. The file may be bigger.
Status read_small(const std::string& path, const char* what, unsigned char* to, std::size_t most,
                  std::size_t& size) {
  const std::string where = std::string(what) + " " + quote(path);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    return Error{errno == ENOENT || errno == ENOTDIR ? ErrorCode::not_found : ErrorCode::io_error,
                 where + " cannot be opened: " + std::strerror(errno)};
  }
  struct Closer {
    int file;
    ~Closer() { ::close(file); }
  } const closer{file};
  struct stat info {};
  if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    return Error{ErrorCode::io_error, where + " is no regular file"};
  }
  size = 0;
  while (size < most) {
    const ssize_t got = ::read(file, to + size, most - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return Error{ErrorCode::io_error, where + " cannot be read: " + std::strerror(errno)};
    }
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  return {};
}

Status read_key(const std::string& path, const KeyForm& form, unsigned char* key) {
  unsigned char bytes_of_public_key[kMostKeyFileBytes];
  Secret secret;
  std::string_view text;
  if (form.begin == kSecret.begin) {
    QAMA_ASSIGN_OR_RETURN(secret, read_secret({.path = path,
                                               .what = "key file",
                                               .insist = "",
                                               .most = kMostKeyFileBytes,
                                               .refused = ErrorCode::io_error,
                                               .absent = ErrorCode::not_found}));
    text = secret.view();
  } else {
    std::size_t size = 0;
    QAMA_RETURN_IF_ERROR(
        read_small(path, "key file", bytes_of_public_key, sizeof bytes_of_public_key, size));
    text = {reinterpret_cast<const char*>(bytes_of_public_key), size};
  }
  constexpr std::string_view kBlank = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  text = text.substr(0, text.find_last_not_of(kBlank) + 1);
  const KeyForm& other = form.begin == kSecret.begin ? kPublic : kSecret;
  if (text.starts_with(other.begin)) {
    return key_error(
        path, "it holds a " + std::string(other.name) + ", expected a " + std::string(form.name));
  }
  const std::string expected = "expected one Ed25519 " + std::string(form.name) + " in PEM (`" +
                               std::string(form.begin) + "`)";
  if (!text.starts_with(form.begin) || !text.ends_with(form.end)) return key_error(path, expected);
  text.remove_prefix(form.begin.size());
  text.remove_suffix(std::min(form.end.size(), text.size()));
  Wiped<64> der;
  std::size_t bytes = 0;
  const char* end = nullptr;
  const int decoded = sodium_base642bin(der.bytes, sizeof der.bytes, text.data(), text.size(),
                                        "\r\n", &bytes, &end, sodium_base64_VARIANT_ORIGINAL);
  if (decoded != 0 || end != text.data() + text.size() || bytes != form.prefix_bytes + 32 ||
      std::memcmp(der.bytes, form.prefix.data(), form.prefix_bytes) != 0) {
    return key_error(path, expected);
  }
  std::memcpy(key, der.bytes + form.prefix_bytes, 32);
  return {};
}

}  // namespace

std::string signed_text(std::string_view seal) {
  return "qama model sha256 " + std::string(seal) + "\n";
}

std::string signature_path(const std::string& model_path) {
  return model_path + ".sig";
}

Result<PublicKey> read_public_key(const std::string& path) {
  PublicKey key{};
  QAMA_RETURN_IF_ERROR(read_key(path, kPublic, key.data()));
  return key;
}

Result<Signature> sign_seal(const std::string& key_path, std::string_view seal) {
  Wiped<crypto_sign_SEEDBYTES> seed;
  QAMA_RETURN_IF_ERROR(read_key(key_path, kSecret, seed.bytes));
  Wiped<crypto_sign_SECRETKEYBYTES> key;
  PublicKey own{};
  crypto_sign_seed_keypair(own.data(), key.bytes, seed.bytes);
  const std::string text = signed_text(seal);
  Signature signature{};
  crypto_sign_detached(signature.data(), nullptr,
                       reinterpret_cast<const unsigned char*>(text.data()), text.size(), key.bytes);
  return signature;
}

Status check_signature(const PublicKey& key, const std::string& model_path, std::string_view seal) {
  const auto refused = [&](const std::string& why) {
    return Error{ErrorCode::model_not_trusted, "file " + quote(model_path) + ": " + why};
  };
  const std::string path = signature_path(model_path);
  unsigned char signature[kSignatureBytes + 1];
  std::size_t size = 0;
  if (const Status status = read_small(path, "signature", signature, sizeof signature, size);
      !status.ok()) {
    return refused("it is not signed for the trusted key: " + status.error().message);
  }
  if (size != kSignatureBytes) {
    return refused("signature " + quote(path) + " has " +
                   (size > kSignatureBytes ? "more than 64" : std::to_string(size)) +
                   " bytes, expected 64");
  }
  const std::string text = signed_text(seal);
  if (crypto_sign_verify_detached(signature, reinterpret_cast<const unsigned char*>(text.data()),
                                  text.size(), key.data()) != 0) {
    return refused("signature " + quote(path) + " is not the trusted key's for this file");
  }
  return {};
}

}  // namespace qama::weights
