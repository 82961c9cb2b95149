#include "hal/platform/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "hal/platform/thread.h"

namespace qama::platform {
namespace {

using Clock = std::chrono::steady_clock;

/// Lets the other thread of a core work for some cycles.
void pause_briefly() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#elif defined(__arm__)
  asm volatile("yield");
#endif
}

/// Waits until `ready`, at most for `patience`. The thread keeps its processor: on a busy machine
/// whoever gets it would keep it for longer than a job takes.
template <typename Ready>
void wait_a_little(std::chrono::nanoseconds patience, const Ready& ready) noexcept {
  constexpr int kLooksAClock = 32;  // reading the clock may take longer than a look
  if (patience.count() == 0) return;
  const Clock::time_point end = Clock::now() + patience;
  do {
    for (int look = 0; look < kLooksAClock; ++look) {
      if (ready()) return;
      pause_briefly();
    }
  } while (Clock::now() < end);
}

}  // namespace

/// Who is awake takes no lock: a lock that two threads want at the same moment puts one to sleep,
/// and waking it costs more than a job may take. Whoever goes to sleep says so first and then looks
/// once more; whoever has news tells it first and then looks who sleeps. In one order of all of
/// these (sequential consistency) one of the two sees the other.
struct ThreadPool::Impl {
  std::mutex mutex;              // of those who sleep, and of those who wake them
  std::condition_variable work;  // a new job, or the end
  std::condition_variable done;  // the last index was done
  std::atomic<bool> ending{false};
  std::atomic<std::int32_t> sleepers{0};  // workers
  std::atomic<bool> caller_sleeps{false};
  std::chrono::nanoseconds patience{0};

  std::uint32_t job = 0;  // counts jobs, so that a worker takes part in each once at most
  // The job in the upper half, how many of its indices nobody took in the lower one. Whoever took
  // one may read the job: it stays until that index is done. A worker that wakes too late finds
  // another number or no index, and nobody waits for it.
  std::atomic<std::uint64_t> open{0};
  Task task = nullptr;
  void* context = nullptr;
  std::int32_t count = 0;
  std::atomic<std::int32_t> finished{0};

  std::vector<Thread> threads;

  [[nodiscard]] std::uint32_t number() const noexcept {
    return static_cast<std::uint32_t>(open.load() >> 32);
  }
  [[nodiscard]] bool all_finished() const noexcept { return finished.load() == count; }

  void take_indices(std::uint32_t own, std::int32_t worker) noexcept {
    std::uint64_t seen = open.load(std::memory_order_acquire);
    for (;;) {
      if (static_cast<std::uint32_t>(seen >> 32) != own) return;
      const auto left = static_cast<std::uint32_t>(seen);
      if (left == 0) return;
      if (!open.compare_exchange_weak(seen, seen - 1)) continue;
      const std::int32_t all = count;
      task(context, all - static_cast<std::int32_t>(left), worker);
      if (finished.fetch_add(1) + 1 == all && caller_sleeps.load()) {
        const std::scoped_lock lock(mutex);
        done.notify_one();
      }
      seen = open.load(std::memory_order_acquire);
    }
  }

  void loop(std::int32_t worker) noexcept {
    std::uint32_t seen = 0;
    for (;;) {
      const auto is_called = [&] { return ending.load() || number() != seen; };
      wait_a_little(patience, is_called);
      if (!is_called()) {
        std::unique_lock lock(mutex);
        ++sleepers;
        work.wait(lock, is_called);
        --sleepers;
      }
      if (ending) return;
      seen = number();
      take_indices(seen, worker);
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

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(std::int32_t threads,
                                                       std::chrono::nanoseconds patience) {
  auto impl = std::make_unique<Impl>();
  Impl* shared = impl.get();
  shared->patience = patience;
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
  impl.task = task;
  impl.context = context;
  impl.count = count;
  impl.finished = 0;
  const std::uint32_t number = ++impl.job;
  impl.open = std::uint64_t{number} << 32 | static_cast<std::uint32_t>(count);
  if (impl.sleepers.load() > 0) {
    const std::scoped_lock lock(impl.mutex);
    impl.work.notify_all();
  }
  impl.take_indices(number, 0);
  wait_a_little(impl.patience, [&] { return impl.all_finished(); });
  if (impl.all_finished()) return;
  std::unique_lock lock(impl.mutex);
  impl.caller_sleeps = true;
  impl.done.wait(lock, [&] { return impl.all_finished(); });
  impl.caller_sleeps = false;
}

}  // namespace qama::platform
