// Who is logged in at the vendor's cloud. One token serves all solvers of a device: a second login
// may end the first one's token.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "hal/cim/cloud_options.h"

namespace qama::hal::cim {

struct CloudToken {
  Secret text;
  std::uint64_t number = 0;  ///< of the login, from 1
  bool emulated = false;     ///< the cloud says that it is an emulator
};

/// Thread-safe; `options` outlive it.
class CloudAccount {
 public:
  explicit CloudAccount(const CloudOptions& options) : options_(options) {}

  /// A token of a later login than number `refused`; logs in over `http` if there is none. The
  /// errors of VendorHttp::send.
  [[nodiscard]] Result<CloudToken> token(VendorHttp& http, std::uint64_t refused,
                                         TimePoint deadline);

  /// The number of the last login.
  [[nodiscard]] std::uint64_t newest() {
    const std::lock_guard lock(mutex_);
    return token_.number;
  }

 private:
  class Turn;
  [[nodiscard]] Result<CloudToken> log_in(VendorHttp& http, TimePoint deadline) const;

  const CloudOptions& options_;
  std::mutex mutex_;
  // One thread logs in at a time, without the mutex. A timed mutex would do, too, but
  // ThreadSanitizer of GCC 12 does not see it locked.
  std::condition_variable free_;
  bool busy_ = false;
  CloudToken token_;
};

}  // namespace qama::hal::cim
