// The vendor's on-premises terminal as far as its HTTP interface is public (login, machine, upload,
// batch task, poll, fetch, delete), in front of the same emulated machine. What is not public is
// assumed and marked so in http_terminal.cpp. Loopback only, plain HTTP, for tests of hal/cim's
// vendor driver. Its port has the limits of the link's port (network.h), and a thread of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "hal/base/result.h"
#include "hal/base/secret.h"
#include "hal/emulator/machine.h"

namespace qama::emulator {

struct HttpOptions {
  std::uint16_t port = 0;  ///< 0: any free one
  std::string user = "user";
  Secret password = Secret("password");
  int token_requests = 0;       ///< a token is good for so many requests; 0: for ever
  int machine_status = 1;       ///< 0 shut down, 1 available, 2 debugging, 3 faulty, 4 self-testing
  bool fail_tasks = false;      ///< every task ends as failed
  bool damage_answers = false;  ///< every answer has one value that is no spin
  bool verbose = false;
};

class HttpTerminal {
 public:
  /// IO_ERROR if the port cannot be opened; UNSUPPORTED in a build without the HTTP library.
  [[nodiscard]] static Result<std::unique_ptr<HttpTerminal>> create(const MachineConfig& config,
                                                                    const HttpOptions& options,
                                                                    Machine& machine);
  ~HttpTerminal();
  [[nodiscard]] std::uint16_t port() const noexcept;

 private:
  struct Impl;
  explicit HttpTerminal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qama::emulator
