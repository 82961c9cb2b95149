// What either end of a TLS connection proves itself by, certificates or a pre-shared key, from
// files that nobody but their owner may use. The driver of hal/cim and the emulator take the same
// files and answer the same faults. OpenSSL; builds without QAMA_WITH_CIM do not have it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "hal/base/secret.h"

// OpenSSL's, as its headers declare them.
struct ssl_st;
struct ssl_ctx_st;
struct ssl_method_st;
struct ssl_session_st;

namespace qama::platform {

struct TlsFiles {
  std::string certificate, key, authority;  ///< PEM files
  std::string psk_file;                     ///< 'identity:hexadecimal key' in its first line
  bool asks_peer = true;                    ///< for a certificate; false needs no authority
  bool others_may = false;                  ///< key files may be open to others than their owner
  [[nodiscard]] bool any() const { return !certificate.empty() || !psk_file.empty(); }
  [[nodiscard]] bool certificates() const {
    return !certificate.empty() && !key.empty() && (!asks_peer || !authority.empty());
  }
};

/// Whether OpenSSL's calls on this thread failed for lack of memory; forgets their errors.
[[nodiscard]] bool tls_lacks_memory() noexcept;

/// A context for TLS 1.3 alone, without sessions that are taken up again. What OpenSSL's callbacks
/// for a pre-shared key need lies beside it, so it stays where it is.
struct TlsContext {
  struct Free {
    void operator()(ssl_ctx_st* c) const noexcept;
  };
  std::unique_ptr<ssl_ctx_st, Free> context;
  std::string identity;  ///< empty without a pre-shared key
  Secret secret;

  /// The one that `ssl` was made from.
  [[nodiscard]] static const TlsContext& of(const ssl_st* ssl) noexcept;
  /// The pre-shared key as OpenSSL takes it, owned by the caller; null if there is no memory.
  [[nodiscard]] ssl_session_st* psk_session(ssl_st* ssl) const noexcept;
};

/// `files` with this end's certificate, key and authority, or with a pre-shared key. `insist` is
/// the option that makes `others_may` true. INVALID_ARGUMENT for a key file of another form,
/// IO_ERROR for one that cannot be used, DEVICE_AUTH for one that others may use or a key of
/// another certificate, OUT_OF_MEMORY; never names a secret.
[[nodiscard]] Result<std::unique_ptr<TlsContext>> make_tls_context(const ssl_method_st* method,
                                                                   const TlsFiles& files,
                                                                   std::string_view insist);

}  // namespace qama::platform
