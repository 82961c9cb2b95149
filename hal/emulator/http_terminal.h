// The vendor's on-premises terminal as far as its HTTP interface is public (login, machine, upload,
// batch task, poll, fetch, delete), and on the same port the vendor's cloud (http_cloud.h), in
// front of the same emulated machine. What is not public is assumed and marked so in
// http_terminal.cpp. Loopback only, plain HTTP or HTTPS, for tests of hal/cim's drivers. Its port
// has the limits of the link's port (network.h), and a thread of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "hal/base/result.h"
#include "hal/emulator/fault.h"
#include "hal/emulator/http_options.h"
#include "hal/emulator/machine.h"

namespace qama::emulator {

/// What the HTTP paths have seen.
struct HttpCounts {
  std::uint64_t logins = 0;        ///< that were let in
  std::uint64_t submits = 0;       ///< of tasks, refused ones included
  std::uint64_t jobs = 0;          ///< names of tasks
  std::uint64_t most_submits = 0;  ///< of one name
  FaultPlan faults;
};

class HttpTerminal {
 public:
  /// IO_ERROR if the port cannot be opened; UNSUPPORTED in a build without the HTTP library.
  [[nodiscard]] static Result<std::unique_ptr<HttpTerminal>> create(
      const MachineConfig& config, const HttpOptions& options, Machine& machine,
      FaultPlan faults = FaultPlan(1));
  ~HttpTerminal();
  [[nodiscard]] std::uint16_t port() const noexcept;
  /// Ends the port, and says what it has seen.
  [[nodiscard]] HttpCounts end();

 private:
  struct Impl;
  explicit HttpTerminal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qama::emulator
