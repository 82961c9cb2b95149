#include "hal/platform/tls_keys.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama::platform {
namespace {

// The one cipher that a plain pre-shared key goes with.
constexpr const char* kPskCipherName = "TLS_AES_128_GCM_SHA256";
constexpr unsigned char kPskCipher[] = {0x13, 0x01};

/// Of a call that failed. If it lacked memory, what it was given has no fault.
template <typename... Parts>
Error failure(ErrorCode code, const Parts&... parts) {
  if (tls_lacks_memory()) return {ErrorCode::out_of_memory, "no memory for TLS"};
  return make_error(code, parts...);
}

/// The line 'identity:hexadecimal key'.
Status read_psk(const TlsFiles& files, std::string_view insist, TlsContext& to) {
  QAMA_ASSIGN_OR_RETURN(const Secret file,
                        read_secret({files.psk_file, "key file", insist, files.others_may}));
  const std::string_view line = first_line(file.view());
  const std::size_t colon = std::min(line.find(':'), line.size());
  const Secret digits(line.substr(std::min(colon + 1, line.size())));
  std::array<unsigned char, 48> key{};
  std::size_t length = 0;
  // OpenSSL reads up to the first zero byte and would pass over what follows.
  const bool good =
      colon > 0 && line.find('\0') == std::string_view::npos &&
      OPENSSL_hexstr2buf_ex(key.data(), key.size(), &length, digits.view().data(), ':') == 1 &&
      length >= 16;
  if (good) {
    to.identity = std::string(line.substr(0, colon));
    to.secret = Secret({reinterpret_cast<const char*>(key.data()), length});
  }
  OPENSSL_cleanse(key.data(), key.size());
  if (good) return {};
  return failure(ErrorCode::invalid_argument, "key file ", quote(files.psk_file),
                 ": expected 'identity:' and 16 to 48 bytes in hexadecimal");
}

// A key that is locked by a passphrase is refused: nobody is there to be asked.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

/// The private key of the certificate that the context has.
Status read_key(const TlsFiles& files, std::string_view insist, SSL_CTX* context) {
  QAMA_ASSIGN_OR_RETURN(const Secret file,
                        read_secret({files.key, "key", insist, files.others_may}));
  const std::unique_ptr<BIO, decltype(&BIO_free)> bytes(
      BIO_new_mem_buf(file.view().data(), static_cast<int>(file.view().size())), &BIO_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(bytes.get(), nullptr, no_passphrase, nullptr), &EVP_PKEY_free);
  if (key == nullptr) {
    return failure(ErrorCode::io_error, "key ", quote(files.key),
                   " is no private key (PEM, without a passphrase)");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return failure(ErrorCode::device_auth, "key ", quote(files.key),
                   " is not the one of certificate ", quote(files.certificate));
  }
  return {};
}

Status use_psk(const TlsFiles& files, std::string_view insist, TlsContext& to) {
  QAMA_RETURN_IF_ERROR(read_psk(files, insist, to));
  if (SSL_CTX_set_app_data(to.context.get(), &to) != 1)  // callbacks rely on it
    return Error{ErrorCode::out_of_memory, "no memory for TLS"};
  if (SSL_CTX_set_ciphersuites(to.context.get(), kPskCipherName) != 1)
    return failure(ErrorCode::internal, "OpenSSL lacks ", kPskCipherName);
  return {};
}

Status use_certificates(const TlsFiles& files, std::string_view insist, SSL_CTX* context) {
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return failure(ErrorCode::io_error, "certificate ", quote(files.certificate),
                   " cannot be used");
  }
  QAMA_RETURN_IF_ERROR(read_key(files, insist, context));
  if (files.asks_peer &&
      SSL_CTX_load_verify_locations(context, files.authority.c_str(), nullptr) != 1) {
    return failure(ErrorCode::io_error, "authority ", quote(files.authority), " cannot be used");
  }
  return {};
}

}  // namespace

bool tls_lacks_memory() noexcept {
  bool any = false;
  while (const unsigned long code = ERR_get_error())
    any = any || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
  return any;
}

void TlsContext::Free::operator()(ssl_ctx_st* c) const noexcept {
  SSL_CTX_free(c);
}

const TlsContext& TlsContext::of(const ssl_st* ssl) noexcept {
  return *static_cast<const TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}

ssl_session_st* TlsContext::psk_session(ssl_st* ssl) const noexcept {
  const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, kPskCipher);
  SSL_SESSION* made = SSL_SESSION_new();
  if (made == nullptr || cipher == nullptr ||
      SSL_SESSION_set1_master_key(made,
                                  reinterpret_cast<const unsigned char*>(secret.view().data()),
                                  secret.view().size()) != 1 ||
      SSL_SESSION_set_cipher(made, cipher) != 1 ||
      SSL_SESSION_set_protocol_version(made, TLS1_3_VERSION) != 1) {
    SSL_SESSION_free(made);
    return nullptr;
  }
  return made;
}

Result<std::unique_ptr<TlsContext>> make_tls_context(const ssl_method_st* method,
                                                     const TlsFiles& files,
                                                     std::string_view insist) {
  ERR_clear_error();
  auto out = std::make_unique<TlsContext>();
  out->context.reset(SSL_CTX_new(method));
  SSL_CTX* context = out->context.get();
  if (context == nullptr) return Error{ErrorCode::out_of_memory, "no memory for TLS"};
  if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1)
    return failure(ErrorCode::internal, "TLS 1.3 is not to be had from this OpenSSL");
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  QAMA_RETURN_IF_ERROR(files.psk_file.empty() ? use_certificates(files, insist, context)
                                              : use_psk(files, insist, *out));
  return out;
}

}  // namespace qama::platform
