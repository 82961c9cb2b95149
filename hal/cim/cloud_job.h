// A job's way through the vendor's cloud: login, submit, wait, fetch. It is submitted once,
// whatever happens.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "hal/cim/cloud_account.h"

namespace qama::hal::cim {

struct CloudOrder {
  std::string name;                 ///< of the task
  std::vector<std::int8_t> matrix;  ///< width x width, symmetric, its diagonal 0
  std::size_t width = 0, first_ancilla = 0;
  std::string csv;  ///< the matrix
  TimePoint deadline;
};

/// Samples whose ancillas are +1 and whose energies are what the cloud says, and where the time
/// went, in microseconds.
struct CloudAnswer {
  Samples samples;
  double login_us = 0, submit_us = 0, wait_us = 0, fetch_us = 0;
};

/// One connection. One thread at a time, except http().stop().
class CloudCaller {
 public:
  CloudCaller(const CloudOptions& options, CloudAccount& account)
      : options_(options), account_(account) {}
  [[nodiscard]] VendorHttp& http() noexcept { return http_; }

  /// `sleep` waits until its time, or less and is false if the job was cancelled. The errors of
  /// VendorHttp::send, and
  ///   DEVICE_TASK_FAILED   the machine failed at the task
  ///   DEVICE_TASK_UNKNOWN  the submission has no answer: the cloud may have the task or not
  ///   DEVICE_BAD_ANSWER    no sample of the answer stands the check, asked three times
  [[nodiscard]] Result<CloudAnswer> solve(const CloudOrder& order,
                                          const std::function<bool(TimePoint)>& sleep);

 private:
  Result<Json> ask(const HttpRequest& request, TimePoint deadline, ReplyReader reply = {});
  Result<std::string> submit(const CloudOrder& order);
  /// True once the answer is there and checked.
  Result<bool> poll(const CloudOrder& order, const std::string& path, Samples& samples);

  const CloudOptions& options_;
  CloudAccount& account_;
  VendorHttp http_;
  bool in_doubt_ = false;  // the last request, not counting logins
  double login_us_ = 0;
};

}  // namespace qama::hal::cim
