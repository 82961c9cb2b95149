// ProcessMark: tells a forked child that something was made by its parent. Threads do not follow a
// fork, and locks may be held by threads that are not there.
#pragma once

#include <unistd.h>

#include <string>

#include "hal/base/result.h"

namespace qama::platform {

class ProcessMark {
 public:
  [[nodiscard]] bool is_other() const noexcept { return ::getpid() != process_; }
  /// UNSUPPORTED: `what` ("the session") cannot be used here.
  [[nodiscard]] Error error(const char* what) const {
    return {ErrorCode::unsupported, std::string(what) + " was made by process " +
                                        std::to_string(process_) + ", this is " +
                                        std::to_string(::getpid()) +
                                        ": its threads did not follow the fork; make another one "
                                        "after the fork"};
  }

 private:
  pid_t process_ = ::getpid();
};

}  // namespace qama::platform
