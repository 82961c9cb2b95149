#include "hal/emulator/job_memory.h"

namespace qama::emulator {
namespace {

constexpr std::size_t kRememberedJobs = 65536;

}  // namespace

std::uint64_t body_hash(View submit) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325U;  // FNV-1a
  for (const std::uint8_t byte : submit.subspan(32)) hash = (hash ^ byte) * 0x100000001B3U;
  return hash;
}

Job* JobMemory::find(const Id& id) {
  const auto at = jobs_.find(id);
  return at == jobs_.end() ? nullptr : &at->second;
}

void JobMemory::answer(const Id& id, Bytes reply) {
  Job& job = jobs_[id];
  answered_.emplace_back(Clock::now(), id);
  job.reply = std::move(reply);
  job.work.reset();
}

void JobMemory::expire(std::chrono::milliseconds age) {
  const Clock::time_point oldest = Clock::now() - age;
  while (!answered_.empty() &&
         (answered_.size() > kRememberedJobs || answered_.front().first < oldest)) {
    jobs_.erase(answered_.front().second);
    answered_.pop_front();
  }
}

void JobMemory::clear() {
  jobs_.clear();
  answered_.clear();
}

}  // namespace qama::emulator
