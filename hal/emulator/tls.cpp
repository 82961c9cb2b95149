#include "hal/emulator/tls.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>

#include "hal/base/quote.h"

namespace qama::emulator {
namespace {

// TLS_AES_128_GCM_SHA256, the one cipher that a plain pre-shared key goes with.
constexpr unsigned char kPskCipher[] = {0x13, 0x01};

int find_psk(SSL* ssl, const unsigned char* identity, std::size_t length, SSL_SESSION** session) {
  const auto* server = static_cast<const TlsServer*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  *session = nullptr;
  if (length != server->identity.size() ||
      CRYPTO_memcmp(identity, server->identity.data(), length) != 0) {
    return 1;  // unknown: OpenSSL goes on to certificates, of which there are none
  }
  SSL_SESSION* made = SSL_SESSION_new();
  const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, kPskCipher);
  if (made == nullptr || cipher == nullptr ||
      SSL_SESSION_set1_master_key(
          made, reinterpret_cast<const unsigned char*>(server->secret.view().data()),
          server->secret.view().size()) != 1 ||
      SSL_SESSION_set_cipher(made, cipher) != 1 ||
      SSL_SESSION_set_protocol_version(made, TLS1_3_VERSION) != 1) {
    SSL_SESSION_free(made);
    return 0;
  }
  *session = made;
  return 1;
}

constexpr std::string_view kInsist = "--insecure-permissions";

/// The line 'identity:hexadecimal key'.
Status read_psk(const TlsOptions& options, TlsServer& to) {
  QAMA_ASSIGN_OR_RETURN(const Secret file,
                        read_secret({options.psk_file, "key file", kInsist, options.others_may}));
  const std::string_view line = first_line(file.view());
  const std::size_t colon = std::min(line.find(':'), line.size());
  const Secret digits(line.substr(std::min(colon + 1, line.size())));
  unsigned char key[48];
  std::size_t length = 0;
  // OpenSSL reads up to the first zero byte and would pass over what follows.
  const bool good =
      colon > 0 && line.find('\0') == std::string_view::npos &&
      OPENSSL_hexstr2buf_ex(key, sizeof key, &length, digits.view().data(), ':') == 1 &&
      length >= 16;
  if (good) {
    to.identity = std::string(line.substr(0, colon));
    to.secret = Secret({reinterpret_cast<const char*>(key), length});
  }
  OPENSSL_cleanse(key, sizeof key);
  if (good) return {};
  return Error{ErrorCode::invalid_argument,
               "key file " + quote(options.psk_file) +
                   ": expected 'identity:' and 16 to 48 bytes in hexadecimal"};
}

// A key that is locked by a passphrase is refused: nobody is there to be asked.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

/// The private key of the certificate that the context has.
Status read_key(const TlsOptions& options, SSL_CTX* context) {
  QAMA_ASSIGN_OR_RETURN(const Secret file,
                        read_secret({options.key, "key", kInsist, options.others_may}));
  const std::unique_ptr<BIO, decltype(&BIO_free)> bytes(
      BIO_new_mem_buf(file.view().data(), static_cast<int>(file.view().size())), &BIO_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(bytes.get(), nullptr, no_passphrase, nullptr), &EVP_PKEY_free);
  if (key == nullptr) {
    return Error{ErrorCode::io_error,
                 "key " + quote(options.key) + " is no private key (PEM, without a passphrase)"};
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return Error{ErrorCode::device_auth, "key " + quote(options.key) +
                                             " is not the one of certificate " +
                                             quote(options.certificate)};
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<TlsServer>> make_tls_server(const TlsOptions& options) {
  auto out = std::make_unique<TlsServer>();
  out->context.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* context = out->context.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1) {
    return Error{ErrorCode::internal, "TLS 1.3 is not to be had from this OpenSSL"};
  }
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (!options.psk_file.empty()) {
    if (!options.certificate.empty()) {
      return Error{ErrorCode::invalid_argument, "a certificate or a pre-shared key, not both"};
    }
    QAMA_RETURN_IF_ERROR(read_psk(options, *out));
    SSL_CTX_set_app_data(context, out.get());
    SSL_CTX_set_psk_find_session_callback(context, find_psk);
    if (SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1) {
      return Error{ErrorCode::internal, "OpenSSL lacks TLS_AES_128_GCM_SHA256"};
    }
    return out;
  }
  const bool asks = options.asks_clients;
  if (options.certificate.empty() || options.key.empty() || (asks && options.authority.empty())) {
    return Error{
        ErrorCode::invalid_argument,
        "TLS needs a certificate, its key and the authority that signs the clients' certificates"};
  }
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate.c_str()) != 1) {
    return Error{ErrorCode::io_error,
                 "certificate " + quote(options.certificate) + " cannot be used"};
  }
  QAMA_RETURN_IF_ERROR(read_key(options, context));
  if (!asks) return out;
  if (SSL_CTX_load_verify_locations(context, options.authority.c_str(), nullptr) != 1) {
    return Error{ErrorCode::io_error, "authority " + quote(options.authority) + " cannot be used"};
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return out;
}

}  // namespace qama::emulator
