// To be preloaded: while the file QAMA_FAIL_WHEN exists, every QAMA_FAIL_EVERY-th malloc fails.
// The first one leaves the file QAMA_FAIL_TRACE.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

extern "C" void* __libc_malloc(std::size_t size);  // NOLINT: glibc's name

extern "C" void* malloc(std::size_t size) {
  static std::atomic<long> count{0};
  const char* const when = std::getenv("QAMA_FAIL_WHEN");
  if (when != nullptr && ::access(when, F_OK) == 0) {
    const char* const every = std::getenv("QAMA_FAIL_EVERY");
    const long period = every != nullptr ? std::atol(every) : 0;
    if (period > 0 && ++count % period == 0) {
      static std::atomic<bool> traced{false};
      const char* const trace = std::getenv("QAMA_FAIL_TRACE");
      if (trace != nullptr && !traced.exchange(true))
        ::close(::open(trace, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      errno = ENOMEM;
      return nullptr;
    }
  }
  return __libc_malloc(size);
}
