// What the emulator's HTTP paths are like, terminal and cloud.
#pragma once

#include <cstdint>
#include <string>

#include "hal/base/secret.h"
#include "hal/network/tls_server.h"

namespace qama::emulator {

struct HttpOptions {
  std::uint16_t port = 0;     ///< 0: any free one
  platform::TlsFiles tls;     ///< HTTPS, if any
  std::string user = "user";  ///< the cloud's user id and SDK code are the same two
  Secret password = Secret("password");
  int token_requests = 0;       ///< a token is good for so many requests; 0: for ever
  int machine_status = 1;       ///< 0 shut down, 1 available, 2 debugging, 3 faulty, 4 self-testing
  bool fail_tasks = false;      ///< every task ends as failed
  bool damage_answers = false;  ///< every answer has one value that is no spin
  bool verbose = false;
};

}  // namespace qama::emulator
