#include "hal/network/connection.h"

#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace qama::network {
namespace {

constexpr std::size_t kMaxUnsentBytes = 4U << 20;

bool waits(int why) noexcept {
  return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

}  // namespace

std::unique_ptr<Connection> Connection::accept(std::uint64_t number, int fd,
                                               const PeerAddress& peer,
                                               const platform::TlsContext* tls) {
  std::unique_ptr<Connection> out(new Connection(number, fd, peer));
  if (tls == nullptr) return out;
  out->ssl_ = SSL_new(tls->context.get());
  if (out->ssl_ == nullptr || SSL_set_fd(out->ssl_, fd) != 1) return nullptr;
  SSL_set_accept_state(out->ssl_);
  out->shaking_ = true;
  return out;
}

Connection::~Connection() {
  if (ssl_ != nullptr) SSL_free(ssl_);
  ::close(fd_);
}

bool Connection::holds_bytes() const noexcept {
  return ssl_ != nullptr && usable() && SSL_pending(ssl_) > 0;
}

std::array<std::uint8_t, 32> Connection::binding(std::string_view label) const noexcept {
  std::array<std::uint8_t, 32> shared{};
  if (ssl_ != nullptr) {
    (void)SSL_export_keying_material(ssl_, shared.data(), shared.size(), label.data(), label.size(),
                                     nullptr, 0, 0);
  }
  return shared;
}

bool Connection::shake_hands() {
  const int done = SSL_do_handshake(ssl_);
  if (done == 1) {
    shaking_ = false;
    return true;
  }
  const int why = SSL_get_error(ssl_, done);
  if (why == SSL_ERROR_WANT_WRITE) wants_write_ = true;
  if (!waits(why)) {
    ends_when_sent = true;
    hang_up();
  }
  return false;
}

void Connection::hang_up() {
  if (hung_up_) return;
  hung_up_ = true;
  wants_write_ = false;
  moved = Clock::now();
  ERR_clear_error();
  if (ssl_ != nullptr && !shaking_) (void)SSL_shutdown(ssl_);
  ::shutdown(fd_, SHUT_WR);
}

void Connection::drop_what_comes(std::span<std::uint8_t> room) {
  Bytes().swap(in);
  const ssize_t got = ::recv(fd_, room.data(), room.size(), 0);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) broken = true;
}

std::size_t Connection::receive(std::span<std::uint8_t> to) {
  if (ssl_ == nullptr) {
    const ssize_t got = ::recv(fd_, to.data(), to.size(), 0);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) broken = true;
    return 0;
  }
  ERR_clear_error();
  if (shaking_ && !shake_hands()) return 0;
  std::size_t got = 0;
  const int done = SSL_read_ex(ssl_, to.data(), to.size(), &got);
  if (done != 1 && !waits(SSL_get_error(ssl_, done))) broken = true;
  return got;
}

// Bytes sent; 0: no more can be sent now, or the connection broke.
std::size_t Connection::write(View bytes) {
  if (ssl_ == nullptr) {
    while (true) {
      const ssize_t put = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (put > 0) return static_cast<std::size_t>(put);
      if (errno == EINTR) continue;
      if (errno != EAGAIN) broken = true;
      return 0;
    }
  }
  ERR_clear_error();
  std::size_t put = 0;
  const int done = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &put);
  if (done != 1 && !waits(SSL_get_error(ssl_, done))) broken = true;
  return put;
}

void Connection::flush() {
  while (!broken && !shaking_ && sent_ < out.size()) {
    const std::size_t put = write(View(out).subspan(sent_));
    if (put == 0) break;
    sent_ += put;
    moved = Clock::now();
  }
  if (sent_ == out.size()) {
    out.clear();
    sent_ = 0;
    if (ends_when_sent) hang_up();
  } else if (sent_ > kStuffedBytes) {
    out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
  }
  if (out.size() - sent_ > kMaxUnsentBytes) broken = true;
  if (!broken && !shaking_ && !hung_up_) wants_write_ = !out.empty();
}

}  // namespace qama::network
