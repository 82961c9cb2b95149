#include "hal/platform/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "tests/test_support.h"

namespace qama::test {
namespace {

using platform::ThreadPool;

struct Counts {
  std::vector<std::atomic<int>> done;
  std::atomic<bool> bad_worker{false};
  std::int32_t threads;
  Counts(std::size_t count, std::int32_t pool_threads) : done(count), threads(pool_threads) {}
  static void task(void* self, std::int32_t index, std::int32_t worker) {
    auto& counts = *static_cast<Counts*>(self);
    counts.done[static_cast<std::size_t>(index)].fetch_add(1);
    if (worker < 0 || worker >= counts.threads) counts.bad_worker = true;
  }
};

TEST(ThreadPool, EveryIndexOnce) {
  using std::chrono::nanoseconds;
  for (const auto& [threads, patience] : {std::pair(1, nanoseconds(0)),
                                          {2, nanoseconds(0)},
                                          {7, nanoseconds(0)},
                                          {3, nanoseconds(100000)}}) {
    ASSERT_OK_AND_ASSIGN(auto pool, ThreadPool::create(threads, patience));
    EXPECT_EQ(pool->threads(), threads);
    for (const std::int32_t count : {0, 1, 2, 3, 100}) {
      for (int repeat = 0; repeat < 50; ++repeat) {
        Counts counts(static_cast<std::size_t>(count), threads);
        pool->run(count, Counts::task, &counts);
        for (const auto& done : counts.done) EXPECT_EQ(done.load(), 1);
        EXPECT_FALSE(counts.bad_worker.load());
      }
    }
  }
}

TEST(ThreadPool, AWorkerIsOneThreadAtATime) {
  ASSERT_OK_AND_ASSIGN(auto pool, ThreadPool::create(4));
  struct Context {
    std::array<std::atomic<int>, 4> inside{};
    std::atomic<bool> clash{false};
  } context;
  pool->run(
      200,
      [](void* self, std::int32_t, std::int32_t worker) {
        auto& c = *static_cast<Context*>(self);
        auto& inside = c.inside[static_cast<std::size_t>(worker)];
        if (inside.fetch_add(1) != 0) c.clash = true;
        std::this_thread::yield();
        inside.fetch_sub(1);
      },
      &context);
  EXPECT_FALSE(context.clash.load());
}

TEST(ThreadPool, NobodyWaitsForAWorkerThatHasNothingToDo) {
  // Far more workers than indices: most of them wake when the job is over, some in the next one.
  ASSERT_OK_AND_ASSIGN(auto pool, ThreadPool::create(16));
  for (int repeat = 0; repeat < 2000; ++repeat) {
    const std::int32_t count = 2 + repeat % 3;
    Counts counts(static_cast<std::size_t>(count), 16);
    pool->run(count, Counts::task, &counts);
    for (const auto& done : counts.done) ASSERT_EQ(done.load(), 1);
  }
}

TEST(ThreadPool, EndsWithoutEverHavingRun) {
  for (int i = 0; i < 20; ++i) EXPECT_OK(ThreadPool::create(3));
  EXPECT_OK(ThreadPool::create(3, std::chrono::hours(1)));
}

}  // namespace
}  // namespace qama::test
