// What every function of the C API does at its edge: no exception leaves it, an Error becomes its
// pinned number, and its sentence is kept for qama_last_error() of the same thread.
#pragma once

#include <cstddef>
#include <new>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "runtime/api/include/qama/qama.h"

namespace qama::runtime {

/// Keeps the sentence (shortened to a fixed buffer: it cannot fail) and returns the code's number.
qama_status report(ErrorCode code, std::string_view message) noexcept;

/// An argument that must not be NULL, and is.
[[nodiscard]] inline Error null_argument(const char* name) {
  return {ErrorCode::invalid_argument, std::string("'") + name + "' is NULL"};
}

/// No version of a caller's struct is larger: more would be memory that nobody filled in.
inline constexpr std::size_t kMostStructBytes = 4096;

/// Runs `body`, which returns a Status, at the edge of the ABI.
template <typename Body>
qama_status guarded(Body&& body) noexcept {
  try {
    const Status status = body();
    if (status.ok()) return 0;
    return report(status.error().code, status.error().message);
  } catch (const std::bad_alloc&) {
    return report(ErrorCode::out_of_memory, "no memory left");
  } catch (...) {
    return report(ErrorCode::internal, "an unexpected exception");
  }
}

}  // namespace qama::runtime
