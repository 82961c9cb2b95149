// The emulator's sockets: one thread with epoll for the listener, all connections, timers and a
// wake-up. Bytes become frames here; what a frame means is the handler's business. Nothing that a
// client sends can end it.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "hal/base/result.h"
#include "hal/emulator/connection.h"

namespace qama::emulator {

struct NetworkOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free one
  TlsOptions tls;
  std::size_t max_connections = 256;
  std::chrono::milliseconds hello_time{
      5000};  ///< a connection without a valid frame is closed then
  bool verbose = false;
};

/// Called on the thread of Network::run(). A connection that a call breaks is closed afterwards.
class FrameHandler {
 public:
  virtual ~FrameHandler() = default;
  virtual void on_frame(Connection& from, const Head& head, View payload) = 0;
  /// The payload's CRC is wrong.
  virtual void on_damaged(Connection& from, const Head& head) = 0;
  /// The header is none of this link's, or its length is above the connection's limit.
  virtual void on_rubbish(Connection& from) = 0;
  /// After wake(), perhaps once for several.
  virtual void on_wake() = 0;
  /// Some 20 times a second.
  virtual void on_tick() = 0;
};

class Network {
 public:
  /// Opens the port. DEVICE_AUTH for an address off loopback without TLS, INVALID_ARGUMENT,
  /// IO_ERROR.
  [[nodiscard]] static Result<std::unique_ptr<Network>> create(const NetworkOptions& options);
  ~Network();

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_; }
  /// Serves until stop(); to be called once.
  void run(FrameHandler& handler);
  /// From any thread or a signal handler.
  void stop() noexcept;
  void wake() const noexcept;

  // For the handler.
  /// Null if the connection is gone.
  [[nodiscard]] Connection* find(std::uint64_t number);
  void send(Connection& to, View bytes);
  void send_later(const Connection& to, Bytes bytes, Clock::time_point when);
  /// Ends the connection once all is sent.
  void end(Connection& connection);
  /// Ends all connections; nothing more is sent.
  void drop_all();

 private:
  // What is to be done to a connection later: send bytes, or go on reading if there are none.
  struct Later {
    std::uint64_t connection = 0;
    Bytes bytes;
  };

  explicit Network(const NetworkOptions& options) : options_(options) {}
  Status open();
  void accept_all();
  void watch(Connection& c, int operation);
  void flush(Connection& c);
  void on_event(Connection& c, std::uint32_t events);
  void on_readable(Connection& c);
  void take_frames(Connection& c);
  void run_due();
  void close_silent();
  void close_broken();
  [[nodiscard]] int next_wait_ms() const;

  const NetworkOptions options_;
  std::unique_ptr<TlsServer> tls_;
  FrameHandler* handler_ = nullptr;
  int listener_ = -1, poller_ = -1, waker_ = -1;
  std::uint16_t port_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t last_number_ = 1;  // 0 and 1 mark the listener and the waker
  std::atomic<bool> stopping_{false};
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::multimap<Clock::time_point, Later> later_;
};

}  // namespace qama::emulator
