#include "hal/cim/link_stream.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama::hal::cim {

struct StreamFactory::Impl {
  Endpoint endpoint;
  sockaddr_storage address{};
  socklen_t address_size = 0;
  std::unique_ptr<platform::TlsContext> tls;  // null without TLS
};

namespace {

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    return (ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24) == 127;
  }
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr) != 0;
}

// OpenSSL asks for the key when it writes its first message.
int use_psk(SSL* ssl, const EVP_MD* digest, const unsigned char** identity,
            std::size_t* identity_size, SSL_SESSION** session) {
  const platform::TlsContext& client = platform::TlsContext::of(ssl);
  *session = client.psk_session(ssl);
  if (*session == nullptr) return 0;
  const SSL_CIPHER* cipher = SSL_SESSION_get0_cipher(*session);
  if (digest != nullptr && digest != SSL_CIPHER_get_handshake_digest(cipher)) {
    SSL_SESSION_free(std::exchange(*session, nullptr));
    return 1;
  }
  *identity = reinterpret_cast<const unsigned char*>(client.identity.data());
  *identity_size = client.identity.size();
  return 1;
}

/// What is wrong with the machine's certificate.
std::string certificate_fault(long verified, const Endpoint& e) {
  switch (verified) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "the machine's certificate has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "the machine's certificate is not valid yet";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the machine's certificate is for another name than " + quote(e.host);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "the machine's certificate is of an authority that " +
             (e.files.psk_file.empty() ? quote(e.files.authority) : std::string("nobody named")) +
             " does not know";
    case X509_V_ERR_INVALID_PURPOSE:
      return "the machine's certificate is not one of a server";
    default:
      return sentence("the machine's certificate is refused: ",
                      X509_verify_cert_error_string(verified));
  }
}

/// What the machine's alert says of this end's credentials.
std::string_view alert_meaning(unsigned long code) {
  switch (ERR_GET_REASON(code)) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "this end's certificate has expired";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "this end's certificate is of an authority that the machine does not know";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
      return "the machine refuses this end's certificate, which perhaps is not valid yet";
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
      return "this end's certificate is not one of a client";
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
    case SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER:
      return "the machine has another key";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "the machine does not accept this end's certificate";
    default:
      return {};
  }
}

}  // namespace

StreamFactory::~StreamFactory() = default;

Result<std::shared_ptr<StreamFactory>> StreamFactory::create(const Endpoint& endpoint) {
  auto out = std::make_shared<StreamFactory>();
  out->impl_ = std::make_unique<Impl>();
  Impl& impl = *out->impl_;
  impl.endpoint = endpoint;

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int failed =
      getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &list);
  if (failed == EAI_MEMORY) return Error{ErrorCode::out_of_memory, "no memory to look up a host"};
  if (failed != 0 || list == nullptr) {
    // A wrong address, as far as anybody can tell: nothing stands in for it.
    return Error{ErrorCode::device_unknown,
                 "host " + quote(endpoint.host) +
                     " is no name that this machine knows: " + gai_strerror(failed)};
  }
  const addrinfo* chosen = list;
  if (!endpoint.tls) {
    while (chosen != nullptr && !is_loopback(chosen->ai_addr)) chosen = chosen->ai_next;
  }
  if (chosen != nullptr) {
    std::memcpy(&impl.address, chosen->ai_addr, chosen->ai_addrlen);
    impl.address_size = chosen->ai_addrlen;
  }
  freeaddrinfo(list);
  if (impl.address_size == 0) {
    return Error{ErrorCode::device_auth,
                 "host " + quote(endpoint.host) +
                     " is not loopback: plain TCP is refused there, expected cims://"};
  }
  if (!endpoint.tls) return out;

  // OpenSSL writes without MSG_NOSIGNAL: a machine that hangs up must not end the program. A
  // handler that the program has set itself is left alone.
  struct sigaction current {};
  if (::sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL)
    ::signal(SIGPIPE, SIG_IGN);

  if (endpoint.files.psk_file.empty() && !endpoint.files.certificates()) {
    return Error{ErrorCode::device_auth,
                 "cims:// needs '?psk=FILE', or '?cert=FILE&key=FILE&ca=FILE' for certificates of "
                 "both ends"};
  }
  QAMA_ASSIGN_OR_RETURN(impl.tls, platform::make_tls_context(TLS_client_method(), endpoint.files,
                                                             "'insecure_permissions=1'"));
  SSL_CTX* context = impl.tls->context.get();
  if (!endpoint.files.psk_file.empty()) SSL_CTX_set_psk_use_session_callback(context, use_psk);
  // With a pre-shared key there is no certificate to check; if the server does not know the key it
  // would have to show one, and verification against no authority refuses it.
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return out;
}

bool wait_for(int fd, bool writing, int wake_fd, TimePoint deadline) noexcept {
  while (true) {
    const auto left = deadline - LinkClock::now();
    timespec timeout{};
    if (left.count() > 0) {
      const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
      timeout.tv_sec = ns / 1'000'000'000;
      timeout.tv_nsec = ns % 1'000'000'000;
    }
    pollfd fds[2] = {{fd, static_cast<short>(writing ? POLLOUT : POLLIN), 0}, {wake_fd, POLLIN, 0}};
    const int ready = ::ppoll(fds, wake_fd >= 0 ? 2 : 1, &timeout, nullptr);
    if (ready == 0 || left.count() <= 0) return false;
    if (ready > 0) return true;
    if (errno != EINTR) return true;  // the following call on fd says what is wrong
  }
}

Wake::Wake() noexcept : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Wake::~Wake() {
  if (fd_ >= 0) ::close(fd_);
}

void Wake::ring() noexcept {
  const std::uint64_t one = 1;
  (void)!::write(fd_, &one, sizeof one);
}

void Wake::clear() noexcept {
  std::uint64_t count = 0;
  (void)!::read(fd_, &count, sizeof count);
}

Stream::~Stream() {
  close();
}

Stream::Stream(Stream&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      ssl_(std::exchange(other.ssl_, nullptr)),
      refused_(other.refused_) {}

Stream& Stream::operator=(Stream&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
    ssl_ = std::exchange(other.ssl_, nullptr);
    refused_ = other.refused_;
  }
  return *this;
}

void Stream::close() noexcept {
  if (ssl_ != nullptr) SSL_free(static_cast<SSL*>(ssl_));
  ssl_ = nullptr;
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

ChannelBinding Stream::binding() const noexcept {
  constexpr std::string_view kLabel = "EXPORTER-qcim-attach";
  ChannelBinding out{};
  if (ssl_ != nullptr) {
    (void)SSL_export_keying_material(static_cast<SSL*>(ssl_), out.data(), out.size(), kLabel.data(),
                                     kLabel.size(), nullptr, 0, 0);
  }
  return out;
}

bool Stream::pending() const noexcept {
  return ssl_ != nullptr && SSL_pending(static_cast<SSL*>(ssl_)) > 0;
}

Result<Stream> Stream::connect(const StreamFactory& factory, TimePoint deadline) {
  const StreamFactory::Impl& impl = *factory.impl_;
  const std::string where = quote(impl.endpoint.host + ":" + std::to_string(impl.endpoint.port));
  Stream out;
  out.fd_ = ::socket(impl.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (out.fd_ < 0)
    return Error{ErrorCode::io_error, std::string("no socket: ") + std::strerror(errno)};
  const int one = 1;
  setsockopt(out.fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::connect(out.fd_, reinterpret_cast<const sockaddr*>(&impl.address), impl.address_size) !=
      0) {
    if (errno != EINPROGRESS) {
      return Error{ErrorCode::device_unavailable,
                   "no connection to " + where + ": " + std::strerror(errno)};
    }
    if (!wait_for(out.fd_, true, -1, deadline)) {
      return Error{ErrorCode::deadline_exceeded, "no connection to " + where + " in time"};
    }
    int failed = 0;
    socklen_t size = sizeof failed;
    getsockopt(out.fd_, SOL_SOCKET, SO_ERROR, &failed, &size);
    if (failed != 0) {
      return Error{ErrorCode::device_unavailable,
                   "no connection to " + where + ": " + std::strerror(failed)};
    }
  }
  if (!impl.tls) return out;

  SSL* ssl = SSL_new(impl.tls->context.get());
  out.ssl_ = ssl;
  if (ssl == nullptr || SSL_set_fd(ssl, out.fd_) != 1)
    return Error{ErrorCode::out_of_memory, "no memory for a TLS connection"};
  if (impl.endpoint.files.psk_file.empty()) {
    // The certificate has to be the host's, by name or by address.
    X509_VERIFY_PARAM* check = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(check, impl.endpoint.host.c_str()) != 1) {
      ERR_clear_error();
      X509_VERIFY_PARAM_set_hostflags(check, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      if (SSL_set1_host(ssl, impl.endpoint.host.c_str()) != 1) {
        return Error{ErrorCode::out_of_memory, "no memory for the host's name"};
      }
    }
  }
  SSL_set_connect_state(ssl);
  while (true) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl);
    if (done == 1) break;
    const int why = SSL_get_error(ssl, done);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
      const unsigned long code = ERR_peek_error();
      const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
      const std::string_view alert = alert_meaning(code);
      if (platform::tls_lacks_memory())
        return Error{ErrorCode::out_of_memory, "no memory for a TLS handshake"};
      const long verified = SSL_get_verify_result(ssl);
      const std::string detail = verified != X509_V_OK ? certificate_fault(verified, impl.endpoint)
                                 : !alert.empty()      ? std::string(alert)
                                 : reason != nullptr   ? std::string(reason)
                                                       : "the other end hung up";
      return Error{ErrorCode::device_auth, "TLS with " + where + " failed: " + detail};
    }
    if (!wait_for(out.fd_, why == SSL_ERROR_WANT_WRITE, -1, deadline)) {
      return Error{ErrorCode::deadline_exceeded, "no TLS handshake with " + where + " in time"};
    }
  }
  return out;
}

Stream::Outcome Stream::send_all(std::span<const std::uint8_t> bytes, TimePoint deadline) noexcept {
  while (!bytes.empty()) {
    bool wants_read = false;
    if (ssl_ == nullptr) {
      const ssize_t put = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (put > 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(put));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Outcome::closed;
    } else {
      ERR_clear_error();
      const int put = SSL_write(static_cast<SSL*>(ssl_), bytes.data(),
                                static_cast<int>(std::min<std::size_t>(bytes.size(), 1U << 30)));
      if (put > 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(put));
        continue;
      }
      const int why = SSL_get_error(static_cast<SSL*>(ssl_), put);
      if (why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ) return Outcome::closed;
      wants_read = why == SSL_ERROR_WANT_READ;
    }
    if (!wait_for(fd_, !wants_read, -1, deadline)) return Outcome::closed;
  }
  return Outcome::ok;
}

Stream::Outcome Stream::receive(std::span<std::uint8_t> to, std::size_t& size) noexcept {
  size = 0;
  if (ssl_ == nullptr) {
    while (true) {
      const ssize_t got = ::recv(fd_, to.data(), to.size(), 0);
      if (got > 0) {
        size = static_cast<std::size_t>(got);
        return Outcome::ok;
      }
      if (got < 0 && errno == EINTR) continue;
      return got < 0 && errno == EAGAIN ? Outcome::none : Outcome::closed;
    }
  }
  ERR_clear_error();
  const int got = SSL_read(static_cast<SSL*>(ssl_), to.data(), static_cast<int>(to.size()));
  if (got > 0) {
    size = static_cast<std::size_t>(got);
    return Outcome::ok;
  }
  const int why = SSL_get_error(static_cast<SSL*>(ssl_), got);
  if (why == SSL_ERROR_SSL) refused_ = alert_meaning(ERR_peek_error());
  return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? Outcome::none
                                                                   : Outcome::closed;
}

}  // namespace qama::hal::cim
