#include "runtime/api/api_error.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace qama::runtime {
namespace {

// A fixed buffer a thread: reporting an error must not allocate, it may be about memory.
thread_local std::array<char, 1024> last_error{};

}  // namespace

qama_status report(ErrorCode code, std::string_view message) noexcept {
  const std::size_t length = std::min(message.size(), last_error.size() - 1);
  std::memcpy(last_error.data(), message.data(), length);
  last_error[length] = '\0';
  return static_cast<qama_status>(code);
}

}  // namespace qama::runtime

extern "C" {

const char* qama_last_error(void) {
  return qama::runtime::last_error.data();
}

// error_name() returns views of string literals, so they end with a zero.
const char* qama_status_name(qama_status status) {
  return qama::error_name(static_cast<qama::ErrorCode>(status)).data();
}
}
