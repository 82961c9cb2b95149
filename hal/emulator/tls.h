// TLS 1.3 for the emulator's side of the link: with certificates of both ends, or with a pre-shared
// key. OpenSSL.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "hal/base/result.h"

namespace qama::emulator {

struct TlsOptions {
  std::string certificate, key, authority;  ///< PEM files; all three, or none
  std::string psk_file;                     ///< "identity:hexadecimal key", one line
  [[nodiscard]] bool any() const { return !certificate.empty() || !psk_file.empty(); }
};

struct SslContextFree {
  void operator()(SSL_CTX* c) const noexcept { SSL_CTX_free(c); }
};

/// The pre-shared key that OpenSSL's callback needs, kept beside the context.
struct TlsServer {
  std::unique_ptr<SSL_CTX, SslContextFree> context;
  std::string identity;
  std::string secret;  // bytes
};

/// INVALID_ARGUMENT or IO_ERROR; never names a secret.
[[nodiscard]] Result<std::unique_ptr<TlsServer>> make_tls_server(const TlsOptions& options);

}  // namespace qama::emulator
