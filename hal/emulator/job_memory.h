// The jobs that the emulator knows: under way, and answered ones that it remembers so that a retry
// never anneals twice (hal/cim/PROTOCOL.md, "Rules").
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "hal/emulator/machine.h"
#include "hal/emulator/wire.h"

namespace qama::emulator {

struct Job {
  std::uint64_t hash = 0;            ///< of the body that the id belongs to
  std::shared_ptr<MachineJob> work;  ///< null once it is answered
  Id session{};
  std::size_t bytes = 0;                      ///< of the session's credit
  bool charged = false;                       ///< against that credit
  std::uint64_t connection = 0, request = 0;  ///< of the latest SUBMIT: where the reply goes
  Bytes reply;                                ///< RESULT's payload
  [[nodiscard]] bool answered() const noexcept { return work == nullptr; }
};

/// What a job id belongs to: SUBMIT from its seed on. (The id itself is the key.)
[[nodiscard]] std::uint64_t body_hash(View submit) noexcept;

class JobMemory {
 public:
  [[nodiscard]] Job* find(const Id& id);
  Job& add(const Id& id, Job job) { return jobs_.emplace(id, std::move(job)).first->second; }
  void forget(const Id& id) { jobs_.erase(id); }
  /// Keeps the answer until expire().
  void answer(const Id& id, Bytes reply);
  /// Forgets answers that are older than `age` or too many.
  void expire(std::chrono::milliseconds age);
  void clear();
  template <typename Predicate>
  void forget_if(const Predicate& predicate) {
    std::erase_if(jobs_, [&](auto& entry) { return predicate(entry.second); });
  }
  template <typename Predicate>
  [[nodiscard]] bool any_of(const Predicate& predicate) const {
    return std::any_of(jobs_.begin(), jobs_.end(),
                       [&](const auto& entry) { return predicate(entry.second); });
  }

 private:
  std::map<Id, Job> jobs_;
  std::deque<std::pair<Clock::time_point, Id>> answered_;
};

}  // namespace qama::emulator
