#include "hal/platform/thread.h"

#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <utility>

namespace qama::platform {
namespace {

/// What the exception in flight says; without a word where there is no memory for one.
Status in_flight() noexcept {
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      return Error{ErrorCode::out_of_memory, {}};
    } catch (const std::exception& exception) {
      return Error{ErrorCode::internal, std::string("a thread ended: ") + exception.what()};
    } catch (...) {
      return Error{ErrorCode::internal, {}};
    }
  } catch (...) {
    return Error{ErrorCode::out_of_memory, {}};
  }
}

}  // namespace

Status Thread::start(std::function<void()> body) {
  if constexpr (!kHasThreads) {
    return Error{ErrorCode::out_of_memory, "the system gives no thread: it has none"};
  }
  try {
    thread_ = std::thread([this, body = std::move(body)]() noexcept {
      try {
        body();
      } catch (...) {
        ended_ = in_flight();
      }
    });
  } catch (const std::system_error& error) {
    return Error{ErrorCode::out_of_memory,
                 std::string("the system gives no thread: ") + error.what()};
  }
  return {};
}

Status Thread::join() noexcept {
  if (thread_.joinable()) thread_.join();
  return std::exchange(ended_, Status());
}

}  // namespace qama::platform
