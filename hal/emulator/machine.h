// The emulated machine: one ring, so one job at a time, on a thread of its own. Users take turns,
// job by job. It keeps two clocks apart: device time (what the modelled hardware would take) and
// wall time (what this program took).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "hal/emulator/clock.h"
#include "hal/emulator/dynamics.h"
#include "hal/emulator/machine_config.h"
#include "hal/platform/thread.h"

namespace qama::emulator {

/// A job and, once it is done, its answer. Whoever submits it fills the first part.
struct MachineJob {
  std::uint64_t user = 0;
  IsingProblem problem;
  std::size_t bytes = 0;  ///< of the upload, for the cost of programming
  int reads = 1;
  std::uint64_t seed = 0;
  Clock::time_point deadline = Clock::time_point::max();
  std::function<void()> done;  ///< called on the machine's thread, once

  enum class End : std::uint8_t { none, solved, cancelled, late, failed };  ///< failed: no memory
  std::atomic<bool> stop{false};
  Clock::time_point queued;
  End end = End::none;
  std::atomic<bool> started{false};
  std::int64_t energy = 0;
  std::vector<std::vector<std::int8_t>> answers;  ///< signs, best read first; one unless keep_all
  std::vector<std::int64_t> energies;
  bool keep_all = false;
  int reads_done = 0;
  bool paced = false;
  std::uint64_t queue_ns = 0, compute_ns = 0;                   // wall
  std::uint64_t program_ns = 0, anneal_ns = 0, readout_ns = 0;  // device
};

class Machine {
 public:
  /// OUT_OF_MEMORY if there is no thread for its work.
  [[nodiscard]] static Result<std::unique_ptr<Machine>> create(const MachineConfig& config,
                                                               bool pace);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// False if the queue is full.
  bool submit(std::shared_ptr<MachineJob> job);
  /// True if the job was still waiting: it is gone and done() will not be called. Else it is told
  /// to stop.
  bool cancel(const std::shared_ptr<MachineJob>& job);
  /// Forgets all waiting jobs and stops the running one; when it returns no done() of theirs runs
  /// or will.
  void clear();
  [[nodiscard]] std::uint32_t waiting() const;
  /// Device time of sending `bytes` to the ring's controller.
  [[nodiscard]] std::uint64_t program_ns(std::size_t bytes) const noexcept;

 private:
  Machine(const MachineConfig& config, bool pace) : config_(config), pace_(pace) {}
  void work();
  void solve(MachineJob& job, Annealer& annealer);

  const MachineConfig config_;
  const bool pace_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::uint64_t, std::deque<std::shared_ptr<MachineJob>>> queues_;  // by user
  std::uint64_t last_user_ = 0;
  std::uint32_t waiting_ = 0;
  std::shared_ptr<MachineJob> running_;
  std::uint64_t generation_ = 0;
  bool calling_ = false;  // a done() is running
  std::condition_variable called_;
  bool ending_ = false;
  platform::Thread thread_;
};

}  // namespace qama::emulator
