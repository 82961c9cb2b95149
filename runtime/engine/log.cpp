#include "runtime/engine/log.h"

#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace qama::runtime {
namespace {

std::mutex mutex;
LogFunction hook = nullptr;
void* hook_user = nullptr;
std::atomic<bool> enabled{false};

}  // namespace

void set_log(LogFunction function, void* user) noexcept {
  const std::scoped_lock lock(mutex);
  hook = function;
  hook_user = user;
  enabled.store(function != nullptr, std::memory_order_relaxed);
}

void log(LogLevel level, const char* format, ...) noexcept {
  if (!enabled.load(std::memory_order_relaxed)) return;
  std::array<char, 512> line{};
  std::va_list arguments;
  va_start(arguments, format);
  (void)std::vsnprintf(line.data(), line.size(), format, arguments);
  va_end(arguments);
  // Called under the lock, so that after qama_set_log(NULL) the old hook is not running any more.
  const std::scoped_lock lock(mutex);
  if (hook != nullptr) hook(hook_user, static_cast<std::int32_t>(level), line.data());
}

}  // namespace qama::runtime
