// Every allocation may fail: for every k the k-th request of a use is refused, once or with all
// that follow. The use then says OUT_OF_MEMORY or answers as ever, gives back everything, and works
// the next time. A crash ends the test program, which is the worst failure of all.
//
// A program that includes this links tests/counted_malloc.cpp. ctest tries every 61st k or so;
// QAMA_OOM_STRIDE=1 build/release/bin/PROGRAM tries all.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "tests/counted_malloc.h"

namespace qama::test {

/// What it answers goes into `out`, which has its size already. The number of an ErrorCode.
using Use = std::function<int(std::vector<float>& out)>;

inline long stride_or(long usual) {
  const char* text = std::getenv("QAMA_OOM_STRIDE");
  return text != nullptr ? std::max(1L, std::strtol(text, nullptr, 10)) : usual;
}

/// Runs `use` with every k. `why` says what the last one failed at.
/// `foreign`: parts of others may call lack of memory by another name, and keep something.
inline void every_request_may_fail(const char* name, std::size_t answers, const Use& use,
                                   const std::function<std::string()>& why, long usual_stride = 61,
                                   bool foreign = false) {
  if (QAMA_COUNTS_MALLOC == 0) GTEST_SKIP() << "SKIPPED: malloc belongs to the sanitizer here";
  std::vector<float> expected(answers);
  // Twice: what is made once in a process is there afterwards.
  ASSERT_EQ(use(expected), 0) << why();
  ASSERT_EQ(use(expected), 0) << why();
  long requests = 0;
  {
    AllocationCounter counter;
    const int status = use(expected);
    requests = counter.count();
    ASSERT_EQ(status, 0);
  }
  ASSERT_GT(requests, 0) << name;
  const long stride = stride_or(usual_stride);
  long tried = 0;
  long refused = 0;
  for (const bool for_good : {false, true}) {
    for (long k = 0; k < requests; k += stride) {
      std::vector<float> out(answers);
      int status = 0;
      long leaked = 0;
      // Once more if something stays: what a process or a thread keeps from its first error is no
      // leak.
      for (int attempt = 0; attempt < 3 && (attempt == 0 || leaked != 0); ++attempt) {
        const long before = held;
        {
          const MemoryEnds memory(k, for_good);
          status = use(out);
        }
        leaked = held - before;
      }
      ++tried;
      refused += status != 0;
      const std::string where = std::string(name) + ", request " + std::to_string(k) +
                                (for_good ? " and all that follow" : "");
      if (!foreign) {
        EXPECT_EQ(leaked, 0) << "leaks: " << where;
      }
      if (status == 0) {
        EXPECT_EQ(out, expected) << where;
      } else if (!foreign) {
        EXPECT_EQ(status, static_cast<int>(ErrorCode::out_of_memory)) << where << ": " << why();
      }
    }
    std::vector<float> out(answers);
    EXPECT_EQ(use(out), 0) << name << " afterwards: " << why();
    EXPECT_EQ(out, expected) << name << " afterwards";
  }
  std::printf("%s: %ld requests, %ld tried, %ld refused\n", name, requests, tried, refused);
  EXPECT_GT(refused, 0) << name;
}

/// The same of what gives a Status, or lets std::bad_alloc pass, as all below the C API may.
inline void every_request_of_parts_may_fail(
    const char* name, std::size_t answers,
    const std::function<Status(std::vector<float>& out)>& use, long usual_stride,
    bool foreign = false) {
  std::string why(256, ' ');
  const Use guarded = [&](std::vector<float>& out) {
    try {
      const Status status = use(out);
      if (status.ok()) return 0;
      why.assign(status.error().message, 0, why.capacity());
      return static_cast<int>(status.error().code);
    } catch (const std::bad_alloc&) {
      return static_cast<int>(ErrorCode::out_of_memory);
    }
  };
  every_request_may_fail(
      name, answers, guarded, [&why] { return why; }, usual_stride, foreign);
}

}  // namespace qama::test
