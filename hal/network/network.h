// A port that others connect to: one thread with epoll for the listener, all connections, timers
// and a wake-up. What the bytes mean is the handler's business. Nothing that a client sends can end
// it, and none can keep the others waiting or fill the memory (NetworkOptions): whoever is not
// known yet gives way first. An exception of the handler's, out of memory above all, costs the
// connection that it was busy with.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "hal/network/connection.h"

namespace qama::network {

struct NetworkOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free one
  /// The path of a Unix socket instead of a port. A socket that lies there is replaced if nobody
  /// listens to it; it is removed at the end.
  std::string path;
  /// A socket that listens already, instead of either; -1: none. It is taken over.
  int inherited = -1;
  platform::TlsFiles tls;
  /// Connections in all. One address has at most half of them, and those that are not known yet
  /// or have been hung up on have at most a quarter: beyond that the oldest of these is closed for
  /// the new one.
  std::size_t max_connections = 256;
  /// Bytes under way on all connections. Beyond that the one whose message is the longest
  /// unfinished is closed.
  std::size_t max_buffered = 16U << 20;
  /// A connection without a valid message is closed then, and one with an unfinished message, with
  /// bytes that it does not take, or whose client does not hang up when this end has.
  std::chrono::milliseconds hello_time{5000};
  /// A data connection without anything under way is closed then.
  std::chrono::milliseconds idle_time{60000};
  bool verbose = false;
  std::string_view name = "cpqc-emulator";  ///< begins lines on standard error
};

/// Called on the thread of Network::run(). A connection that a call breaks is closed afterwards.
class PeerHandler {
 public:
  virtual ~PeerHandler() = default;
  /// Takes whole messages out of from.in.
  virtual void on_bytes(Connection& from) = 0;
  /// After wake(), perhaps once for several.
  virtual void on_wake() = 0;
  /// Some 20 times a second.
  virtual void on_tick() = 0;
  /// Whether a data connection that has been idle for long may be closed.
  [[nodiscard]] virtual bool may_close(const Connection& idle) const = 0;
  /// The connection is about to be closed. Nothing can be sent any more.
  virtual void on_closed(const Connection& gone) noexcept = 0;
};

class Network {
 public:
  /// Opens the port. DEVICE_AUTH for an address off loopback without TLS, INVALID_ARGUMENT,
  /// IO_ERROR. An error leaves an inherited socket closed.
  [[nodiscard]] static Result<std::unique_ptr<Network>> create(const NetworkOptions& options);
  ~Network();

  /// 0 for a Unix socket.
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  /// Whether clients can only be processes of this machine.
  [[nodiscard]] bool local() const noexcept { return local_; }
  [[nodiscard]] std::size_t connections() const noexcept { return connections_.size(); }
  [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_; }
  /// Whether nothing else waits for this thread as far as it knows while a handler's call is under
  /// way.
  [[nodiscard]] bool last() const noexcept { return events_ == 1; }
  /// Serves until stop(); to be called once.
  void run(PeerHandler& handler);
  /// From any thread or a signal handler.
  void stop() noexcept;
  void wake() const noexcept;

  // For the handler.
  /// Null if the connection is gone.
  [[nodiscard]] Connection* find(std::uint64_t number);
  void send(Connection& to, View bytes);
  void send_later(const Connection& to, Bytes bytes, Clock::time_point when);
  /// Reads nothing more from the connection until resume().
  void pause(Connection& c);
  /// Gives the handler what came meanwhile, and reads on.
  void resume(Connection& c);
  /// Takes no new connections any more; those that wait to be accepted are accepted first.
  void stop_listening();
  /// Ends the connection once all is sent and the client has hung up, too.
  void end(Connection& connection);
  /// Ends all connections; nothing more is sent.
  void drop_all();
  /// Calls visit(connection) for all that are not broken.
  template <typename Visit>
  void for_each(const Visit& visit) {
    for (auto& [number, c] : connections_) {
      if (!c->broken) visit(*c);
    }
  }

 private:
  // What is to be done to a connection later: send bytes, or go on reading if there are none.
  struct Later {
    std::uint64_t connection = 0;
    Bytes bytes;
  };

  explicit Network(const NetworkOptions& options) : options_(options) {}
  using Connections = std::map<std::uint64_t, std::unique_ptr<Connection>>;

  Status open();
  Status bind_path();
  Status bind_port();
  bool accept_some();
  [[nodiscard]] bool make_room(const PeerAddress& peer);
  void take_over(int fd, const PeerAddress& peer);
  void rest_from_accepting();
  void listen_again(bool wanted);
  void watch(Connection& c);
  void flush(Connection& c);
  void on_event(Connection& c, std::uint32_t events);
  void on_readable(Connection& c);
  void take(Connection& c, View bytes);
  void run_due();
  void close_silent();
  void keep_to_budget();
  void close_broken();
  void close(Connections::iterator at) noexcept;
  template <typename Act>
  void guarded(std::uint64_t number, const Act& act) noexcept;
  void tick();
  [[nodiscard]] int next_wait_ms() const;

  const NetworkOptions options_;
  std::unique_ptr<platform::TlsContext> tls_;
  PeerHandler* handler_ = nullptr;
  const Connection* reading_ = nullptr;  // its replies are sent once its messages are taken
  int listener_ = -1, poller_ = -1, waker_ = -1;
  std::uint16_t port_ = 0;
  bool local_ = false;
  bool owns_path_ = false;
  std::uint64_t accepted_ = 0;
  std::uint64_t last_number_ = 1;  // 0 and 1 mark the listener and the waker
  std::atomic<bool> stopping_{false};
  bool listening_ = true;
  int events_ = 0;           // of this turn, with the one under way
  Connections connections_;  // the oldest first
  std::multimap<Clock::time_point, Later> later_;
};

}  // namespace qama::network
