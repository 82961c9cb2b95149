#include "tests/hal/platform/plain_system.h"

// Not <fcntl.h>: it may declare open() as an inline function, which cannot be replaced.
#include <linux/fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstring>

namespace {

std::atomic<bool> plain{false};
std::atomic<std::uint64_t> number{0};

int open_at(const char* path, int flags, std::va_list arguments) {
  const bool makes = (flags & (O_CREAT | __O_TMPFILE)) != 0;
  const mode_t mode = makes ? va_arg(arguments, mode_t) : 0;
  if (plain && (flags & __O_TMPFILE) != 0) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode));
}

}  // namespace

// One of them is what open() is: where files of 2 GiB are not the system's own, the second.
extern "C" int open(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const int descriptor = open_at(path, flags, arguments);
  va_end(arguments);
  return descriptor;
}
extern "C" int open64(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const int descriptor = open_at(path, flags, arguments);
  va_end(arguments);
  return descriptor;
}

extern "C" ssize_t getrandom(void* buffer, size_t size, unsigned int flags) {
  if (!plain) return syscall(SYS_getrandom, buffer, size, flags);
  const std::uint64_t next = ++number;
  std::memset(buffer, 0, size);
  std::memcpy(buffer, &next, size < sizeof next ? size : sizeof next);
  return static_cast<ssize_t>(size);
}

namespace qama::test {

PlainSystem::PlainSystem() {
  number = 0;
  plain = true;
}

PlainSystem::~PlainSystem() {
  plain = false;
}

}  // namespace qama::test
