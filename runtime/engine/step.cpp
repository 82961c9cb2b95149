#include "runtime/engine/step.h"

#include <chrono>

namespace qama::runtime {

std::int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace qama::runtime
