// Counts what anybody in the process asks of malloc, oneDNN and the C++ library included, and
// refuses what it is told to. Link
// tests/counted_malloc.cpp into a test program of its own: it replaces malloc.
#pragma once

#include <atomic>

// Under a sanitizer malloc is the sanitizer's; there a counting test has nothing to count with. GCC
// says so by macros, Clang by
// __has_feature.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define QAMA_COUNTS_MALLOC 0
#endif
#endif
#if defined(QAMA_COUNTS_MALLOC)
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define QAMA_COUNTS_MALLOC 0
#else
#define QAMA_COUNTS_MALLOC 1
#endif

namespace qama::test {

inline std::atomic<bool> counting{false};
inline std::atomic<long> allocations{0};
inline std::atomic<long> held{0};            ///< given and not freed, since the process began
inline std::atomic<long> first_refused{-1};  ///< the request that fails while counting; < 0: none
inline std::atomic<bool> refuses_for_good{false};  ///< and all that follow

/// Requests between construction and count(), by all threads.
class AllocationCounter {
 public:
  AllocationCounter() {
    allocations = 0;
    counting = true;
  }
  ~AllocationCounter() { counting = false; }
  AllocationCounter(const AllocationCounter&) = delete;
  AllocationCounter& operator=(const AllocationCounter&) = delete;
  long count() {
    counting = false;
    return allocations;
  }
};

/// Between construction and destruction the request of number `request`, from 0, is refused; with
/// `for_good` all that follow, too.
class MemoryEnds : public AllocationCounter {
 public:
  MemoryEnds(long request, bool for_good) {
    refuses_for_good = for_good;
    first_refused = request;
  }
  ~MemoryEnds() { first_refused = -1; }
};

}  // namespace qama::test
