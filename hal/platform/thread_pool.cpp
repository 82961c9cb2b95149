#include "hal/platform/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "hal/platform/thread.h"

namespace qama::platform {

struct ThreadPool::Impl {
  std::mutex mutex;
  std::condition_variable work;  // a new job, or the end
  std::condition_variable done;  // the last worker left the job
  std::uint64_t job = 0;         // counts jobs, so that a worker takes part in each once
  bool ending = false;
  std::int32_t busy = 0;

  Task task = nullptr;
  void* context = nullptr;
  std::int32_t count = 0;
  std::atomic<std::int32_t> next{0};

  std::vector<Thread> threads;

  void take_indices(std::int32_t worker) noexcept {
    for (;;) {
      const std::int32_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count) return;
      task(context, index, worker);
    }
  }

  void loop(std::int32_t worker) noexcept {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      work.wait(lock, [&] { return ending || job != seen; });
      if (ending) return;
      seen = job;
      lock.unlock();
      take_indices(worker);
      lock.lock();
      if (--busy == 0) done.notify_one();
    }
  }

  void end() noexcept {
    {
      const std::scoped_lock lock(mutex);
      ending = true;
    }
    work.notify_all();
    for (Thread& thread : threads) (void)thread.join().ok();
  }
};

ThreadPool::ThreadPool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ThreadPool::~ThreadPool() {
  impl_->end();
}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(std::int32_t threads) {
  auto impl = std::make_unique<Impl>();
  Impl* shared = impl.get();
  std::unique_ptr<ThreadPool> pool(new ThreadPool(std::move(impl)));
  shared->threads = std::vector<Thread>(static_cast<std::size_t>(threads - 1));
  for (std::int32_t worker = 1; worker < threads; ++worker) {
    const Status started = shared->threads[static_cast<std::size_t>(worker - 1)].start(
        [shared, worker] { shared->loop(worker); });
    if (!started.ok()) {
      return Error{started.error().code, "worker thread " + std::to_string(worker) + " of " +
                                             std::to_string(threads - 1) + ": " +
                                             started.error().message};
    }
  }
  return pool;
}

std::int32_t ThreadPool::threads() const noexcept {
  return static_cast<std::int32_t>(impl_->threads.size()) + 1;
}

void ThreadPool::run(std::int32_t count, Task task, void* context) noexcept {
  Impl& impl = *impl_;
  // One index, or nobody to share with: waking workers would only cost time.
  if (count <= 1 || impl.threads.empty()) {
    for (std::int32_t index = 0; index < count; ++index) task(context, index, 0);
    return;
  }
  {
    const std::scoped_lock lock(impl.mutex);
    impl.task = task;
    impl.context = context;
    impl.count = count;
    impl.next.store(0, std::memory_order_relaxed);
    impl.busy = static_cast<std::int32_t>(impl.threads.size());
    ++impl.job;
  }
  impl.work.notify_all();
  impl.take_indices(0);
  std::unique_lock lock(impl.mutex);
  impl.done.wait(lock, [&] { return impl.busy == 0; });
}

}  // namespace qama::platform
