/* Loaded before a program (LD_PRELOAD): kills it at its QAMA_KILL_AT-th step of writing a file
 * beside its target (hal/platform/output_file.h). A write has three steps: before it, in its
 * middle, behind it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static int output = -1;

static void step(void) {
  static long left;
  if (left == 0) {
    const char* text = getenv("QAMA_KILL_AT");
    left = text != NULL ? atol(text) : -1;
  }
  if (left > 0 && --left == 0) kill(getpid(), SIGKILL);
}

static int opened(const char* call, const char* path, int flags, va_list arguments) {
  mode_t mode = 0;
  if ((flags & (O_CREAT | __O_TMPFILE)) != 0) mode = va_arg(arguments, mode_t);
  int (*next)(const char*, int, ...) = (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, call);
  const int descriptor = next(path, flags, mode);
  if (descriptor >= 0 && (flags & (O_EXCL | __O_TMPFILE)) != 0) output = descriptor;
  return descriptor;
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const int descriptor = opened("open", path, flags, arguments);
  va_end(arguments);
  return descriptor;
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const int descriptor = opened("open64", path, flags, arguments);
  va_end(arguments);
  return descriptor;
}

ssize_t write(int descriptor, const void* data, size_t size) {
  ssize_t (*next)(int, const void*, size_t) =
      (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  if (descriptor != output) return next(descriptor, data, size);
  step();
  const ssize_t half = next(descriptor, data, size - size / 2);
  step();
  if (half < 0) return half;
  const ssize_t rest = next(descriptor, (const char*)data + half, size - (size_t)half);
  step();
  return rest < 0 ? rest : half + rest;
}

int fsync(int descriptor) {
  int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  const int result = next(descriptor);
  if (descriptor == output) step();
  return result;
}

int linkat(int from, const char* old, int to, const char* path, int flags) {
  int (*next)(int, const char*, int, const char*, int) =
      (int (*)(int, const char*, int, const char*, int))dlsym(RTLD_NEXT, "linkat");
  const int result = next(from, old, to, path, flags);
  step();
  return result;
}

int rename(const char* old, const char* path) {
  int (*next)(const char*, const char*) =
      (int (*)(const char*, const char*))dlsym(RTLD_NEXT, "rename");
  const int result = next(old, path);
  output = -1;
  step();
  return result;
}
