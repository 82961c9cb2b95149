// The emulator's end of the link (hal/cim/PROTOCOL.md): one thread with epoll for all connections,
// sessions and the memory of jobs; the machine works on its own thread. Nothing that a peer sends
// can end it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "hal/base/result.h"
#include "hal/emulator/fault.h"
#include "hal/emulator/machine.h"
#include "hal/emulator/machine_config.h"
#include "hal/emulator/tls.h"

namespace qama::emulator {

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;     ///< 0: any free one
  std::uint64_t seed = 1;     ///< of the faults' dice and the session tokens' fallback
  bool allow_faults = false;  ///< FAULT messages are obeyed
  TlsOptions tls;
  bool verbose = false;  ///< one line a connection and fault on stderr, never a secret
};

/// Counts for the report at the end.
struct ServerCounts {
  std::uint64_t connections = 0, refused_frames = 0, jobs = 0, solved = 0, joined = 0,
                from_memory = 0, cancelled = 0, late = 0, refused_jobs = 0, restarts = 0;
};

class Server {
 public:
  /// Opens the port. DEVICE_AUTH for an address off loopback without TLS; IO_ERROR.
  [[nodiscard]] static Result<std::unique_ptr<Server>> create(const MachineConfig& config,
                                                              const ServerOptions& options,
                                                              Machine& machine, FaultPlan faults);
  ~Server();
  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] std::uint64_t epoch() const noexcept;
  /// Serves until stop(); to be called once.
  void run();
  /// From any thread or a signal handler.
  void stop() noexcept;
  [[nodiscard]] const ServerCounts& counts() const noexcept;
  [[nodiscard]] FaultPlan& faults() noexcept;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qama::emulator
