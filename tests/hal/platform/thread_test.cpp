// A thread that cannot start and a body that throws are values.
#include "hal/platform/thread.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <stdexcept>

namespace qama::platform {
namespace {

TEST(Thread, RunsItsBodyOnce) {
  std::atomic<int> runs{0};
  Thread thread;
  EXPECT_FALSE(thread.started());
  EXPECT_TRUE(thread.join().ok());
  ASSERT_TRUE(thread.start([&] { ++runs; }).ok());
  EXPECT_TRUE(thread.started());
  EXPECT_TRUE(thread.join().ok());
  EXPECT_TRUE(thread.join().ok());
  EXPECT_EQ(runs, 1);
}

TEST(Thread, ItsDestructorWaits) {
  std::atomic<bool> done{false};
  {
    Thread thread;
    ASSERT_TRUE(thread
                    .start([&] {
                      std::this_thread::sleep_for(std::chrono::milliseconds(20));
                      done = true;
                    })
                    .ok());
  }
  EXPECT_TRUE(done);
}

TEST(Thread, WhatEndsABodyIsAValue) {
  Thread thread;
  ASSERT_TRUE(thread.start([] { throw std::bad_alloc(); }).ok());
  EXPECT_EQ(thread.join().error().code, ErrorCode::out_of_memory);
  ASSERT_TRUE(thread.start([] { throw std::runtime_error("a reason"); }).ok());
  const Status ended = thread.join();
  EXPECT_EQ(ended.error().code, ErrorCode::internal);
  EXPECT_EQ(ended.error().message, "a thread ended: a reason");
  ASSERT_TRUE(thread.start([] { throw 1; }).ok());
  EXPECT_EQ(thread.join().error().code, ErrorCode::internal);
}

}  // namespace
}  // namespace qama::platform
