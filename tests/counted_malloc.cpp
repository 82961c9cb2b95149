// malloc and its relatives with a counter in front (counted_malloc.h).
#include "tests/counted_malloc.h"

#include <cerrno>
#include <cstdlib>

#if QAMA_COUNTS_MALLOC
namespace {
void count_one() noexcept {
  if (qama::test::counting.load(std::memory_order_relaxed)) {
    qama::test::allocations.fetch_add(1, std::memory_order_relaxed);
  }
}
}  // namespace

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t size) {
  count_one();
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  count_one();
  return __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) {
  count_one();
  return __libc_realloc(old, size);
}
void* memalign(size_t alignment, size_t size) {
  count_one();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  return memalign(alignment, size);
}
int posix_memalign(void** out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}
}
#endif
