// malloc and its relatives with a counter in front (counted_malloc.h).
#include "tests/counted_malloc.h"

#include <cerrno>
#include <cstdlib>

#if QAMA_COUNTS_MALLOC
namespace {

/// Counts a request. Whether it is granted.
bool granted() noexcept {
  using namespace qama::test;
  if (!counting.load(std::memory_order_relaxed)) return true;
  const long request = allocations.fetch_add(1, std::memory_order_relaxed);
  const long first = first_refused.load(std::memory_order_relaxed);
  if (first < 0 || request < first) return true;
  if (request > first && !refuses_for_good.load(std::memory_order_relaxed)) return true;
  errno = ENOMEM;
  return false;
}

void* noted(void* memory) noexcept {
  if (memory != nullptr) qama::test::held.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

}  // namespace

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

void* malloc(size_t size) {
  return granted() ? noted(__libc_malloc(size)) : nullptr;
}
void* calloc(size_t count, size_t size) {
  return granted() ? noted(__libc_calloc(count, size)) : nullptr;
}
void* realloc(void* old, size_t size) {
  if (!granted()) return nullptr;
  void* const memory = __libc_realloc(old, size);
  if (old == nullptr) return noted(memory);
  if (memory == nullptr && size == 0) qama::test::held.fetch_sub(1, std::memory_order_relaxed);
  return memory;
}
void* memalign(size_t alignment, size_t size) {
  return granted() ? noted(__libc_memalign(alignment, size)) : nullptr;
}
void* aligned_alloc(size_t alignment, size_t size) {
  return memalign(alignment, size);
}
int posix_memalign(void** out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}
void free(void* memory) {
  if (memory != nullptr) qama::test::held.fetch_sub(1, std::memory_order_relaxed);
  __libc_free(memory);
}
}
#endif
