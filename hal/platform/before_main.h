// Lack of memory before main(), where no exception can be caught: libraries make objects there. To
// be included by the file of main() alone, which begins with main_begins().
#pragma once

#include <errno.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

namespace qama::platform {
namespace before_main {

inline std::terminate_handler usual_end = nullptr;

[[noreturn]] inline void no_memory() noexcept {
  std::fprintf(stderr, "%s: error: OUT_OF_MEMORY: not enough memory to start\n",
               program_invocation_short_name);
  std::_Exit(1);
}

[[noreturn]] inline void end() {
  const std::exception_ptr reason = std::current_exception();
  if (reason == nullptr) no_memory();  // not even for the exception
  try {
    std::rethrow_exception(reason);
  } catch (const std::bad_alloc&) {
    no_memory();
  } catch (...) {
  }
  std::abort();
}

/// Before every other object's constructor.
[[gnu::constructor(101)]] static void expect_no_memory() {
  usual_end = std::set_terminate(end);
}

}  // namespace before_main

/// From here on exceptions are caught.
inline void main_begins() noexcept {
  std::set_terminate(before_main::usual_end);
}

}  // namespace qama::platform
