// The pool of a board has one worker: its caller.
#include "hal/platform/thread_pool.h"

namespace qama::platform {

struct ThreadPool::Impl {};
ThreadPool::ThreadPool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ThreadPool::~ThreadPool() = default;

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(std::int32_t threads,
                                                       std::chrono::nanoseconds /*patience*/) {
  if (threads == 1) return std::unique_ptr<ThreadPool>(new ThreadPool(nullptr));
  return Error{ErrorCode::unsupported, "a board has no threads"};
}

std::int32_t ThreadPool::threads() const noexcept {
  return 1;
}

void ThreadPool::run(std::int32_t count, Task task, void* context) noexcept {
  for (std::int32_t index = 0; index < count; ++index) task(context, index, 0);
}

}  // namespace qama::platform
