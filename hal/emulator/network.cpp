#include "hal/emulator/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama::emulator {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kReadChunk = 64U << 10;
constexpr std::size_t kSlowChunk = 512;
constexpr auto kTick = milliseconds(50);
constexpr std::uint64_t kListener = 0, kWaker = 1;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] sockaddr_in& v4() { return reinterpret_cast<sockaddr_in&>(storage); }
  [[nodiscard]] sockaddr_in6& v6() { return reinterpret_cast<sockaddr_in6&>(storage); }
  [[nodiscard]] sockaddr* any() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] bool is_v4() const { return storage.ss_family == AF_INET; }
  [[nodiscard]] bool is_loopback() {
    if (is_v4()) return (ntohl(v4().sin_addr.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6().sin6_addr) != 0;
  }
  [[nodiscard]] std::uint16_t port() { return ntohs(is_v4() ? v4().sin_port : v6().sin6_port); }
};

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

Status Network::open() {
  QAMA_ASSIGN_OR_RETURN(Address address, parse_address(options_.address, options_.port));
  if (options_.tls.any()) {
    QAMA_ASSIGN_OR_RETURN(tls_, make_tls_server(options_.tls));
  } else if (!address.is_loopback()) {
    return make_error(ErrorCode::device_auth, "address ", quote(options_.address),
                      " is not loopback: plain TCP is refused there, expected TLS");
  }
  listener_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  poller_ = epoll_create1(EPOLL_CLOEXEC);
  waker_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const int one = 1;
  if (listener_ >= 0) setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (listener_ < 0 || poller_ < 0 || waker_ < 0 ||
      ::bind(listener_, address.any(), address.size) != 0 || ::listen(listener_, 128) != 0) {
    return make_error(ErrorCode::io_error, "port ", options_.port, " of ", quote(options_.address),
                      " cannot be opened: ", std::strerror(errno));
  }
  address.size = sizeof address.storage;
  ::getsockname(listener_, address.any(), &address.size);
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

void Network::watch(Connection& c, int operation) {
  epoll_event event{};
  event.data.u64 = c.number;
  if (!c.paused) event.events |= EPOLLIN;
  if (c.wants_write()) event.events |= EPOLLOUT;
  if (epoll_ctl(poller_, operation, c.fd(), &event) != 0) c.broken = true;
}

void Network::flush(Connection& c) {
  const bool watched = c.wants_write();
  c.flush();
  if (!c.broken && c.wants_write() != watched) watch(c, EPOLL_CTL_MOD);
}

void Network::send(Connection& to, View bytes) {
  if (!to.usable()) return;
  to.out.insert(to.out.end(), bytes.begin(), bytes.end());
  flush(to);
}

void Network::send_later(const Connection& to, Bytes bytes, Clock::time_point when) {
  later_.emplace(when, Later{to.number, std::move(bytes)});
}

void Network::end(Connection& connection) {
  connection.ends_when_sent = true;
  if (connection.out.empty()) connection.broken = true;
}

void Network::drop_all() {
  later_.clear();
  for (auto& [number, c] : connections_) c->broken = true;
}

void Network::accept_all() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    ++accepted_;
    if (connections_.size() >= options_.max_connections) {
      ::close(fd);
      continue;
    }
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    auto c = Connection::accept(++last_number_, fd, tls_.get());
    if (c == nullptr) continue;
    watch(*c, EPOLL_CTL_ADD);
    connections_.emplace(c->number, std::move(c));
  }
}

void Network::on_readable(Connection& c) {
  std::uint8_t chunk[kReadChunk];
  const bool slow = Clock::now() < c.slow_until;
  const bool shaking = c.shaking();
  // A few chunks a turn, so that one busy client does not keep the others waiting.
  for (int turn = 0; turn < 4 && c.usable(); ++turn) {
    const std::size_t got = c.receive(std::span(chunk).first(slow ? kSlowChunk : kReadChunk));
    if (got == 0) break;
    c.in.insert(c.in.end(), chunk, chunk + got);
    take_frames(c);
    if (slow) {
      c.paused = true;
      watch(c, EPOLL_CTL_MOD);
      return send_later(c, {}, Clock::now() + milliseconds(1));
    }
    if (got < kReadChunk && !c.encrypted()) break;
  }
  if (c.holds_bytes()) send_later(c, {}, Clock::now());
  if (c.shaking() && c.wants_write()) watch(c, EPOLL_CTL_MOD);
  if (shaking && c.broken && options_.verbose)
    std::fputs("cpqc-emulator: a TLS handshake failed\n", stderr);
}

void Network::take_frames(Connection& c) {
  std::size_t at = 0;
  while (c.usable() && c.in.size() - at >= kHeaderSize) {
    Head head;
    const View bytes = View(c.in).subspan(at);
    if (!parse_head(bytes.first(kHeaderSize), c.frame_limit, head)) {
      handler_->on_rubbish(c);
      break;
    }
    if (bytes.size() < kHeaderSize + head.length) {
      c.in.reserve(at + kHeaderSize + head.length);
      break;
    }
    const View payload = bytes.subspan(kHeaderSize, head.length);
    at += kHeaderSize + head.length;
    if (checksum(payload) == head.payload_checksum) {
      handler_->on_frame(c, head, payload);
    } else {
      handler_->on_damaged(c, head);
    }
  }
  c.in.erase(c.in.begin(), c.in.begin() + static_cast<std::ptrdiff_t>(at));
}

void Network::run_due() {
  while (!later_.empty() && later_.begin()->first <= Clock::now()) {
    const Later item = std::move(later_.extract(later_.begin()).mapped());
    Connection* c = find(item.connection);
    if (c == nullptr || c->broken) continue;
    if (!item.bytes.empty()) {
      send(*c, item.bytes);
      continue;
    }
    if (c->paused) {
      c->paused = false;
      watch(*c, EPOLL_CTL_MOD);
    }
    on_readable(*c);
  }
}

void Network::close_silent() {
  for (auto& [number, c] : connections_) {
    if (c->kind == Connection::Kind::unknown && Clock::now() - c->born > options_.hello_time)
      c->broken = true;
  }
}

void Network::close_broken() {
  std::erase_if(connections_, [](const auto& entry) { return entry.second->broken; });
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
  if ((events & EPOLLOUT) != 0) {
    if (c.shaking()) {
      c.handshake_may_go_on();
      on_readable(c);
      watch(c, EPOLL_CTL_MOD);
    }
    flush(c);
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !c.broken) on_readable(c);
}

void Network::run(FrameHandler& handler) {
  handler_ = &handler;
  Clock::time_point ticked = Clock::now();
  epoll_event events[64];
  while (!stopping_) {
    const int count = epoll_wait(poller_, events, 64, next_wait_ms());
    for (int i = 0; i < count; ++i) {
      const std::uint64_t number = events[i].data.u64;
      if (number == kListener) {
        accept_all();
      } else if (number == kWaker) {
        std::uint64_t rings = 0;
        (void)!::read(waker_, &rings, sizeof rings);
        handler.on_wake();
      } else if (Connection* c = find(number); c != nullptr && !c->broken) {
        on_event(*c, events[i].events);
      }
    }
    run_due();
    if (Clock::now() - ticked > kTick) {
      close_silent();
      handler.on_tick();
      ticked = Clock::now();
    }
    close_broken();
  }
}

}  // namespace qama::emulator
