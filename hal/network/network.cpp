#include "hal/network/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama::network {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kReadChunk = 64U << 10;
constexpr std::size_t kSlowChunk = 512;
constexpr auto kTick = milliseconds(50);
constexpr std::uint64_t kListener = 0, kWaker = 1;
// Connections that are accepted before the others get a turn. Fewer than may wait unknown, so that
// one that speaks at once is heard before newer ones push it out.
constexpr int kAcceptsInTurn = 8;
constexpr int kBacklog = 4096;
constexpr auto kIdleBuffer = milliseconds(1000);  // then an empty buffer's memory is given back

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] sockaddr_in& v4() { return reinterpret_cast<sockaddr_in&>(storage); }
  [[nodiscard]] sockaddr_in6& v6() { return reinterpret_cast<sockaddr_in6&>(storage); }
  [[nodiscard]] sockaddr* any() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] bool is_v4() const { return storage.ss_family == AF_INET; }
  [[nodiscard]] bool is_path() const { return storage.ss_family == AF_UNIX; }
  [[nodiscard]] bool is_loopback() {
    if (is_path()) return true;
    if (is_v4()) return (ntohl(v4().sin_addr.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6().sin6_addr) != 0;
  }
  [[nodiscard]] std::uint16_t port() {
    if (is_path()) return 0;
    return ntohs(is_v4() ? v4().sin_port : v6().sin6_port);
  }
};

PeerAddress peer_of(Address& address) {
  PeerAddress out{};
  if (address.is_path()) return out;
  if (address.is_v4()) {
    out[10] = out[11] = 0xFF;
    std::memcpy(out.data() + 12, &address.v4().sin_addr, 4);
  } else {
    std::memcpy(out.data(), &address.v6().sin6_addr, out.size());
  }
  return out;
}

Result<Address> parse_address(const std::string& text, std::uint16_t port) {
  Address out;
  if (inet_pton(AF_INET, text.c_str(), &out.v4().sin_addr) == 1) {
    out.v4().sin_family = AF_INET;
    out.v4().sin_port = htons(port);
    out.size = sizeof(sockaddr_in);
  } else if (inet_pton(AF_INET6, text.c_str(), &out.v6().sin6_addr) == 1) {
    out.v6().sin6_family = AF_INET6;
    out.v6().sin6_port = htons(port);
    out.size = sizeof(sockaddr_in6);
  } else {
    return make_error(ErrorCode::invalid_argument, "address ", quote(text),
                      ": expected an IP address");
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Network>> Network::create(const NetworkOptions& options) {
  std::unique_ptr<Network> out(new Network(options));
  QAMA_RETURN_IF_ERROR(out->open());
  return out;
}

Status Network::bind_path() {
  Address address;
  auto& name = reinterpret_cast<sockaddr_un&>(address.storage);
  name.sun_family = AF_UNIX;
  const std::string& path = options_.path;
  if (path.size() >= sizeof name.sun_path) {
    return make_error(ErrorCode::invalid_argument, "socket ", quote(path), " has ", path.size(),
                      " bytes, expected fewer than ", sizeof name.sun_path);
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  address.size = sizeof name;
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct stat there {};
  if (listener_ >= 0 && ::lstat(path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode)) {
    // One that nobody listens to any more is left from a process that was killed.
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const bool dead =
        probe >= 0 && ::connect(probe, address.any(), address.size) != 0 && errno == ECONNREFUSED;
    if (probe >= 0) ::close(probe);
    if (dead) ::unlink(path.c_str());
  }
  if (listener_ < 0 || ::bind(listener_, address.any(), address.size) != 0) {
    return make_error(ErrorCode::io_error, "socket ", quote(path),
                      " cannot be opened: ", std::strerror(errno));
  }
  owns_path_ = true;
  return {};
}

Status Network::bind_port() {
  QAMA_ASSIGN_OR_RETURN(Address address, parse_address(options_.address, options_.port));
  if (tls_ == nullptr && !address.is_loopback()) {
    return make_error(ErrorCode::device_auth, "address ", quote(options_.address),
                      " is not loopback: plain TCP is refused there, expected TLS");
  }
  listener_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  if (listener_ >= 0) setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (listener_ < 0 || ::bind(listener_, address.any(), address.size) != 0) {
    return make_error(ErrorCode::io_error, "port ", options_.port, " of ", quote(options_.address),
                      " cannot be opened: ", std::strerror(errno));
  }
  return {};
}

Status Network::open() {
  listener_ = options_.inherited;
  if (options_.tls.any()) {
    QAMA_ASSIGN_OR_RETURN(tls_, make_tls_server(options_.tls));
  }
  if (listener_ < 0) QAMA_RETURN_IF_ERROR(options_.path.empty() ? bind_port() : bind_path());
  Address address;
  address.size = sizeof address.storage;
  const int flags = ::fcntl(listener_, F_GETFL);
  if (::getsockname(listener_, address.any(), &address.size) != 0 || flags < 0 ||
      ::fcntl(listener_, F_SETFL, flags | O_NONBLOCK) != 0 ||
      ::fcntl(listener_, F_SETFD, FD_CLOEXEC) != 0) {
    return make_error(ErrorCode::io_error, "descriptor ", listener_,
                      " is no socket: ", std::strerror(errno));
  }
  local_ = address.is_loopback();
  if (tls_ == nullptr && !local_) {
    return Error{ErrorCode::device_auth,
                 "the inherited socket is not of loopback: plain TCP is refused there, expected "
                 "TLS"};
  }
  poller_ = epoll_create1(EPOLL_CLOEXEC);
  waker_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (poller_ < 0 || waker_ < 0 || ::listen(listener_, kBacklog) != 0) {
    return make_error(ErrorCode::io_error, "port ", options_.port, " of ", quote(options_.address),
                      " cannot be opened: ", std::strerror(errno));
  }
  port_ = address.port();
  for (const auto& [fd, number] : {std::pair{listener_, kListener}, {waker_, kWaker}}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = number;
    epoll_ctl(poller_, EPOLL_CTL_ADD, fd, &event);
  }
  return {};
}

Network::~Network() {
  if (owns_path_) ::unlink(options_.path.c_str());
  for (const int fd : {listener_, poller_, waker_}) {
    if (fd >= 0) ::close(fd);
  }
}

void Network::stop() noexcept {
  stopping_ = true;
  wake();
}

void Network::wake() const noexcept {
  const std::uint64_t one = 1;
  (void)!::write(waker_, &one, sizeof one);
}

Connection* Network::find(std::uint64_t number) {
  const auto at = connections_.find(number);
  return at == connections_.end() ? nullptr : at->second.get();
}

/// Tells epoll what to look for, if that has changed.
void Network::watch(Connection& c) {
  epoll_event event{};
  event.data.u64 = c.number;
  const bool listens = c.usable() ? !c.paused && !c.stuffed() : c.hung_up();
  if (listens) event.events |= EPOLLIN;
  if (c.wants_write()) event.events |= EPOLLOUT;
  if (event.events == c.watched) return;
  c.watched = event.events;
  if (epoll_ctl(poller_, EPOLL_CTL_MOD, c.fd(), &event) != 0) c.broken = true;
}

void Network::flush(Connection& c) {
  c.flush();
  if (!c.broken) watch(c);
}

void Network::send(Connection& to, View bytes) {
  if (!to.usable()) return;
  if (to.out.empty()) to.moved = Clock::now();
  to.out.insert(to.out.end(), bytes.begin(), bytes.end());
  if (reading_ != &to) flush(to);
}

void Network::send_later(const Connection& to, Bytes bytes, Clock::time_point when) {
  later_.emplace(when, Later{to.number, std::move(bytes)});
}

void Network::pause(Connection& c) {
  c.paused = true;
  watch(c);
}

void Network::resume(Connection& c) {
  c.paused = false;
  c.moved = Clock::now();
  if (!c.in.empty() && c.usable()) handler_->on_bytes(c);
  if (c.paused || c.broken) return;
  watch(c);
  if (c.holds_bytes()) send_later(c, {}, Clock::now());
}

void Network::end(Connection& connection) {
  connection.ends_when_sent = true;
  flush(connection);
}

void Network::drop_all() {
  later_.clear();
  for (auto& [number, c] : connections_) c->broken = true;
}

/// Whether there may be more.
bool Network::accept_some() {
  for (int count = 0; count < kAcceptsInTurn; ++count) {
    Address from;
    from.size = sizeof from.storage;
    const int fd = accept4(listener_, from.any(), &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        rest_from_accepting();
      return false;
    }
    ++accepted_;
    const PeerAddress peer = peer_of(from);
    if (make_room(peer)) {
      take_over(fd, peer);
    } else {
      ::close(fd);
    }
  }
  return true;
}

void Network::stop_listening() {
  if (listener_ < 0) return;
  for (int turn = 0; turn < kBacklog / kAcceptsInTurn && accept_some(); ++turn) {
  }
  ::close(listener_);
  listener_ = -1;
}

/// Whether one more connection of `peer` may be; the oldest that is not known yet gives way.
bool Network::make_room(const PeerAddress& peer) {
  std::size_t unknown = 0, of_peer = 0;
  auto oldest = connections_.end(), oldest_of_peer = connections_.end();
  for (auto at = connections_.begin(); at != connections_.end(); ++at) {
    const Connection& c = *at->second;
    const bool same = c.peer == peer;
    of_peer += same ? 1 : 0;
    if (!c.gives_way()) continue;
    ++unknown;
    if (oldest == connections_.end()) oldest = at;
    if (same && oldest_of_peer == connections_.end()) oldest_of_peer = at;
  }
  const std::size_t most = options_.max_connections;
  if (of_peer >= std::max<std::size_t>(most / 2, 1)) {
    if (oldest_of_peer == connections_.end()) return false;
    close(oldest_of_peer);
  } else if (unknown >= std::max<std::size_t>(most / 4, 1) || connections_.size() >= most) {
    if (oldest == connections_.end()) return false;
    close(oldest);
  }
  return true;
}

void Network::take_over(int fd, const PeerAddress& peer) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  std::unique_ptr<Connection> c;
  try {
    c = Connection::accept(last_number_ + 1, fd, peer, tls_.get());
  } catch (...) {
    ::close(fd);
    throw;
  }
  if (c == nullptr) return;
  Connection& added = *connections_.emplace(++last_number_, std::move(c)).first->second;
  epoll_event event{};
  event.data.u64 = added.number;
  event.events = added.watched = EPOLLIN;
  if (epoll_ctl(poller_, EPOLL_CTL_ADD, fd, &event) != 0) added.broken = true;
}

/// No descriptor or no memory for one more: the next tick tries again, with one unknown less.
void Network::rest_from_accepting() {
  listen_again(false);
  const auto oldest = std::find_if(connections_.begin(), connections_.end(),
                                   [](const auto& entry) { return entry.second->gives_way(); });
  if (oldest != connections_.end()) close(oldest);
}

void Network::listen_again(bool wanted) {
  if (listening_ == wanted) return;
  epoll_event event{};
  event.events = wanted ? static_cast<std::uint32_t>(EPOLLIN) : 0U;
  event.data.u64 = kListener;
  if (epoll_ctl(poller_, EPOLL_CTL_MOD, listener_, &event) == 0) listening_ = wanted;
}

void Network::on_readable(Connection& c) {
  std::uint8_t chunk[kReadChunk];
  if (c.hung_up()) return c.drop_what_comes(chunk);
  const bool slow = Clock::now() < c.slow_until;
  // A few chunks a turn and the replies to one, so that a busy client does not keep others waiting.
  for (int turn = 0; turn < 4 && c.usable() && !c.paused && !c.stuffed(); ++turn) {
    const std::size_t got = c.receive(std::span(chunk).first(slow ? kSlowChunk : kReadChunk));
    if (got == 0) break;
    take(c, std::span(chunk).first(got));
    if (slow) {
      c.paused = true;
      flush(c);
      return send_later(c, {}, Clock::now() + milliseconds(1));
    }
    if (!c.out.empty()) break;
    if (got < kReadChunk && !c.encrypted()) break;
  }
  flush(c);
  if (c.holds_bytes() && !c.paused && !c.stuffed()) send_later(c, {}, Clock::now());
  if (c.shaking() && c.hung_up() && options_.verbose) {
    const long why = SSL_get_verify_result(c.tls());
    std::fprintf(stderr, "%.*s: a TLS handshake failed: %s\n",
                 static_cast<int>(options_.name.size()), options_.name.data(),
                 why != X509_V_OK ? X509_verify_cert_error_string(why)
                                  : "not TLS 1.3, a wrong key, or the other end gave up");
  }
}

/// Bytes that came.
void Network::take(Connection& c, View bytes) {
  if (c.in.empty()) c.moved = Clock::now();
  c.in.insert(c.in.end(), bytes.begin(), bytes.end());
  const std::size_t before = c.in.size();
  reading_ = &c;
  try {
    handler_->on_bytes(c);
  } catch (...) {
    reading_ = nullptr;
    throw;
  }
  reading_ = nullptr;
  if (c.in.size() < before) c.moved = Clock::now();
}

void Network::run_due() {
  while (!later_.empty() && later_.begin()->first <= Clock::now()) {
    const Later item = std::move(later_.extract(later_.begin()).mapped());
    Connection* c = find(item.connection);
    if (c == nullptr || c->broken) continue;
    guarded(item.connection, [&] {
      if (!item.bytes.empty()) return send(*c, item.bytes);
      if (c->paused) {
        c->paused = false;
        watch(*c);
      }
      on_readable(*c);
    });
  }
}

void Network::close_silent() {
  const Clock::time_point now = Clock::now();
  for (auto& [number, c] : connections_) {
    const auto still = now - c->moved;
    const bool silent = c->kind == Connection::Kind::unknown && now - c->born > options_.hello_time;
    const bool stuck = (c->unfinished() || c->hung_up()) && still > options_.hello_time;
    if (silent || stuck) c->broken = true;
    if (c->unfinished()) continue;
    if (still > kIdleBuffer) c->trim();
    if (c->kind == Connection::Kind::data && still > options_.idle_time) {
      c->moved = now;
      if (handler_->may_close(*c)) c->broken = true;
    }
  }
}

/// Memory is for those that come on: whose message is the longest unfinished gives way.
void Network::keep_to_budget() {
  std::size_t held = 0;
  for (const auto& [number, c] : connections_) held += c->broken ? 0 : c->held();
  if (held <= options_.max_buffered) return;
  for (auto& [number, c] : connections_) c->trim();
  while (true) {
    held = 0;
    Connection* slowest = nullptr;
    for (auto& [number, c] : connections_) {
      if (c->broken || c->held() == 0) continue;
      held += c->held();
      if (slowest == nullptr || c->moved < slowest->moved) slowest = c.get();
    }
    if (held <= options_.max_buffered || slowest == nullptr) return;
    slowest->broken = true;
  }
}

void Network::close(Connections::iterator at) noexcept {
  if (handler_ != nullptr) handler_->on_closed(*at->second);
  connections_.erase(at);
}

void Network::close_broken() {
  for (auto at = connections_.begin(); at != connections_.end();) {
    const auto next = std::next(at);
    if (at->second->broken) close(at);
    at = next;
  }
}

int Network::next_wait_ms() const {
  auto wait = kTick;
  if (!later_.empty()) {
    const auto due = std::chrono::ceil<milliseconds>(later_.begin()->first - Clock::now());
    wait = std::clamp(due, milliseconds(0), kTick);
  }
  return static_cast<int>(wait.count());
}

void Network::on_event(Connection& c, std::uint32_t events) {
  const bool stuffed = c.stuffed();
  if ((events & EPOLLOUT) != 0) {
    if (c.shaking()) {
      c.handshake_may_go_on();
      on_readable(c);
    }
    flush(c);
  }
  // Nothing is read from it for now, and nobody is there any more.
  if (c.paused && (events & (EPOLLHUP | EPOLLERR)) != 0) c.broken = true;
  const bool drained = stuffed && !c.stuffed();  // TLS may hold bytes that nobody shows
  if ((drained || (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) && !c.broken) on_readable(c);
}

/// What act() throws costs the connection, if there still is one.
template <typename Act>
void Network::guarded(std::uint64_t number, const Act& act) noexcept {
  try {
    act();
  } catch (...) {
    if (Connection* c = find(number)) c->broken = true;
    if (options_.verbose) {
      std::fprintf(stderr, "%.*s: out of memory for a connection\n",
                   static_cast<int>(options_.name.size()), options_.name.data());
    }
  }
}

void Network::tick() {
  listen_again(true);
  close_silent();
  handler_->on_tick();
}

void Network::run(PeerHandler& handler) {
  handler_ = &handler;
  Clock::time_point ticked = Clock::now();
  epoll_event events[64];
  while (!stopping_) {
    const int count = epoll_wait(poller_, events, 64, next_wait_ms());
    for (int i = 0; i < count; ++i) {
      events_ = count - i;
      const std::uint64_t number = events[i].data.u64;
      guarded(number, [&] {
        if (number == kListener) {
          if (listener_ >= 0) (void)accept_some();
        } else if (number == kWaker) {
          std::uint64_t rings = 0;
          (void)!::read(waker_, &rings, sizeof rings);
          handler.on_wake();
        } else if (Connection* c = find(number); c != nullptr && !c->broken) {
          on_event(*c, events[i].events);
        }
      });
    }
    run_due();
    if (Clock::now() - ticked > kTick) {
      guarded(0, [&] { tick(); });
      ticked = Clock::now();
    }
    keep_to_budget();
    close_broken();
  }
}

}  // namespace qama::network
