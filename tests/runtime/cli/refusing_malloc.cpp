// Loaded before the C library (LD_PRELOAD): refuses the allocation of number QAMA_REFUSE, from 0,
// and with QAMA_REFUSE_FOR_GOOD all that follow. Where QAMA_REFUSE is not set, it prints the number
// of allocations at the end.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/counted_malloc.h"

namespace qama::test {
namespace {

__attribute__((constructor)) void begin() {
  const char* request = std::getenv("QAMA_REFUSE");
  refuses_for_good = std::getenv("QAMA_REFUSE_FOR_GOOD") != nullptr;
  if (request != nullptr) first_refused = std::strtol(request, nullptr, 10);
  counting = true;
}

__attribute__((destructor)) void end() {
  counting = false;
  if (first_refused >= 0) return;
  char line[64];
  const int length = std::snprintf(line, sizeof line, "allocations %ld\n", allocations.load());
  if (write(STDERR_FILENO, line, static_cast<std::size_t>(length)) != length) std::_Exit(1);
}

}  // namespace
}  // namespace qama::test
