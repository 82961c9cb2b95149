#include "hal/emulator/tls.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <fstream>

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
      SSL_SESSION_set1_master_key(made,
                                  reinterpret_cast<const unsigned char*>(server->secret.data()),
                                  server->secret.size()) != 1 ||
      SSL_SESSION_set_cipher(made, cipher) != 1 ||
      SSL_SESSION_set_protocol_version(made, TLS1_3_VERSION) != 1) {
    SSL_SESSION_free(made);
    return 0;
  }
  *session = made;
  return 1;
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
    std::ifstream stream(options.psk_file);
    std::string line;
    if (!std::getline(stream, line)) {
      return Error{ErrorCode::io_error, "key file " + quote(options.psk_file) + " cannot be read"};
    }
    const std::size_t colon = line.find(':');
    long length = 0;
    unsigned char* bytes = colon == std::string::npos
                               ? nullptr
                               : OPENSSL_hexstr2buf(line.c_str() + colon + 1, &length);
    const bool good = bytes != nullptr && length >= 16 && length <= 48 && colon > 0;
    if (good) {
      out->identity = line.substr(0, colon);
      out->secret.assign(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(length));
    }
    OPENSSL_free(bytes);
    if (!good) {
      return Error{ErrorCode::invalid_argument,
                   "key file " + quote(options.psk_file) +
                       ": expected 'identity:' and 16 to 48 bytes in hexadecimal"};
    }
    SSL_CTX_set_app_data(context, out.get());
    SSL_CTX_set_psk_find_session_callback(context, find_psk);
    if (SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1) {
      return Error{ErrorCode::internal, "OpenSSL lacks TLS_AES_128_GCM_SHA256"};
    }
    return out;
  }
  if (options.certificate.empty() || options.key.empty() || options.authority.empty()) {
    return Error{
        ErrorCode::invalid_argument,
        "TLS needs a certificate, its key and the authority that signs the clients' certificates"};
  }
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate.c_str()) != 1) {
    return Error{ErrorCode::io_error,
                 "certificate " + quote(options.certificate) + " cannot be used"};
  }
  if (SSL_CTX_use_PrivateKey_file(context, options.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return Error{ErrorCode::io_error,
                 "key " + quote(options.key) + " cannot be used with its certificate"};
  }
  if (SSL_CTX_load_verify_locations(context, options.authority.c_str(), nullptr) != 1) {
    return Error{ErrorCode::io_error, "authority " + quote(options.authority) + " cannot be used"};
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return out;
}

}  // namespace qama::emulator
