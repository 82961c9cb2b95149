#include "hal/network/tls_server.h"

#include <openssl/crypto.h>
#include <openssl/ssl.h>

namespace qama::network {
namespace {

int find_psk(SSL* ssl, const unsigned char* identity, std::size_t length, SSL_SESSION** session) {
  const platform::TlsContext& server = platform::TlsContext::of(ssl);
  *session = nullptr;
  if (length != server.identity.size() ||
      CRYPTO_memcmp(identity, server.identity.data(), length) != 0) {
    return 1;  // unknown: OpenSSL goes on to certificates, of which there are none
  }
  *session = server.psk_session(ssl);
  return *session != nullptr ? 1 : 0;
}

}  // namespace

Result<std::unique_ptr<platform::TlsContext>> make_tls_server(const platform::TlsFiles& files) {
  const bool psk = !files.psk_file.empty();
  if (psk && !files.certificate.empty())
    return Error{ErrorCode::invalid_argument, "a certificate or a pre-shared key, not both"};
  if (!psk && !files.certificates()) {
    return Error{
        ErrorCode::invalid_argument,
        "TLS needs a certificate, its key and the authority that signs the clients' certificates"};
  }
  QAMA_ASSIGN_OR_RETURN(
      auto out, platform::make_tls_context(TLS_server_method(), files, "--insecure-permissions"));
  SSL_CTX* context = out->context.get();
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
  if (psk) {
    SSL_CTX_set_psk_find_session_callback(context, find_psk);
  } else if (files.asks_peer) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return out;
}

}  // namespace qama::network
