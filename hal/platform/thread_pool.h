// A small pool for one caller: workers sleep between jobs, or wait awake for a moment, and take
// indices of a job one by one. The caller works along as worker 0, so a pool of one thread starts
// none.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "hal/base/result.h"

namespace qama::platform {

class ThreadPool {
 public:
  /// `index` of the job, `worker` 0 .. threads() - 1. Must not throw.
  using Task = void (*)(void* context, std::int32_t index, std::int32_t worker);

  /// `patience`: how long a worker without a job, and a caller whose last index is not done, stay
  /// awake, for jobs that follow each other closely. OUT_OF_MEMORY if the system gives no thread.
  /// Precondition: threads >= 1.
  [[nodiscard]] static Result<std::unique_ptr<ThreadPool>> create(
      std::int32_t threads, std::chrono::nanoseconds patience = std::chrono::nanoseconds(0));
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] std::int32_t threads() const noexcept;
  /// Runs task(context, i, worker) for every i in 0 .. count - 1 and returns when all are done. A
  /// worker that gets no processor in time is not waited for: the others do its part.
  /// Allocates nothing. One caller at a time.
  void run(std::int32_t count, Task task, void* context) noexcept;

 private:
  struct Impl;
  explicit ThreadPool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qama::platform
