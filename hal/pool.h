// A device made of several machines of one kind: a job goes to the one that has the fewest of them.
// A machine that fails is left out and tried again after a pause; its job goes to another one.
// Which machine solved a job makes no difference to whoever asked: every answer is checked.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hal/device.h"

namespace qama::hal {

struct PoolOptions {
  std::string uri;  ///< of the whole: "cim://a:7010,b:7010"
  /// A machine that fails gets no job for so long. Then one job tries it. Each further failure
  /// doubles the pause, up to a hundred times this.
  std::int64_t cool_down_us = 100'000;
  /// A job without a deadline that a machine was late with goes to another. Only for machines that
  /// drop it: a vendor's would be paid for both.
  bool repeats_late_jobs = false;
};

/// What a machine of a pool did, over all solvers.
struct PoolShare {
  std::string uri;
  std::int64_t solved = 0, failed = 0;
};

/// At least one machine. A solver holds as many jobs as the solvers of all machines together; it
/// supports what all of them do. A job that fails goes to every machine once, within its deadline;
/// then its error is that of the first. One whose fate is unknown (DEVICE_TASK_UNKNOWN) goes to no
/// other. INVALID_ARGUMENT.
[[nodiscard]] Result<std::shared_ptr<Device>> make_pool(
    std::vector<std::shared_ptr<Device>> machines, PoolOptions options);

/// The shares of a device that make_pool() made; empty for any other.
[[nodiscard]] std::vector<PoolShare> pool_shares(const Device& device);

}  // namespace qama::hal
