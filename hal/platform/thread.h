// Thread: the one way in which this project starts a thread. A system that gives none, and a body
// that ends by an exception, are values of the one who started it.
#pragma once

#include <functional>
#include <thread>

#include "hal/base/result.h"

namespace qama::platform {

/// Whether the system has threads. Where it has none, start() always fails, and what would share
/// work does it alone.
#if defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)
inline constexpr bool kHasThreads = false;
#else
inline constexpr bool kHasThreads = true;
#endif

class Thread {
 public:
  Thread() = default;
  ~Thread() { (void)join().ok(); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  /// OUT_OF_MEMORY if the system gives no thread. Precondition: none was started.
  [[nodiscard]] Status start(std::function<void()> body);
  [[nodiscard]] bool started() const noexcept { return thread_.joinable(); }
  /// Waits for the body's end, if it was started. OUT_OF_MEMORY or INTERNAL if an exception ended
  /// it.
  Status join() noexcept;

 private:
  Status ended_;
  std::thread thread_;
};

}  // namespace qama::platform
