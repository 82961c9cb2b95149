// TLS 1.3 for those who wait for others to connect: with certificates, of both ends or of this one
// alone, or with a pre-shared key. OpenSSL.
#pragma once

#include "hal/platform/tls_keys.h"

namespace qama::network {

/// INVALID_ARGUMENT for files that do not go together, and the errors of make_tls_context().
[[nodiscard]] Result<std::unique_ptr<platform::TlsContext>> make_tls_server(
    const platform::TlsFiles& files);

}  // namespace qama::network
