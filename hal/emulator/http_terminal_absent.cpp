// In place of http_terminal.cpp in a build without cpp-httplib.
#include "hal/emulator/http_terminal.h"

namespace qama::emulator {

struct HttpTerminal::Impl {};

Result<std::unique_ptr<HttpTerminal>> HttpTerminal::create(const MachineConfig&, const HttpOptions&,
                                                           Machine&, FaultPlan) {
  return Error{ErrorCode::unsupported,
               "this cpqc-emulator was built without cpp-httplib: no HTTP paths"};
}
HttpTerminal::HttpTerminal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpTerminal::~HttpTerminal() = default;
std::uint16_t HttpTerminal::port() const noexcept {
  return 0;
}
HttpCounts HttpTerminal::end() {
  return {0, 0, 0, 0, FaultPlan(1)};
}

}  // namespace qama::emulator
