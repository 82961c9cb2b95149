// TLS 1.3 for the emulator's side of the link: with certificates of both ends, or with a pre-shared
// key. OpenSSL.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "hal/base/result.h"
#include "hal/base/secret.h"

namespace qama::emulator {

struct TlsOptions {
  std::string certificate, key, authority;  ///< PEM files; all three, or none
  std::string psk_file;                     ///< "identity:hexadecimal key", one line
  bool asks_clients = true;                 ///< for a certificate; false needs no authority
  bool others_may = false;                  ///< key files may be open to others than their owner
  [[nodiscard]] bool any() const { return !certificate.empty() || !psk_file.empty(); }
};

struct SslContextFree {
  void operator()(SSL_CTX* c) const noexcept { SSL_CTX_free(c); }
};

/// The pre-shared key that OpenSSL's callback needs, kept beside the context.
struct TlsServer {
  std::unique_ptr<SSL_CTX, SslContextFree> context;
  std::string identity;
  Secret secret;
};

/// INVALID_ARGUMENT, IO_ERROR, or DEVICE_AUTH for a key file that others may read or a key of
/// another certificate; never names a secret.
[[nodiscard]] Result<std::unique_ptr<TlsServer>> make_tls_server(const TlsOptions& options);

}  // namespace qama::emulator
