#include "hal/emulator/machine.h"

#include <algorithm>
#include <new>
#include <thread>
#include <utility>

#include "hal/base/random.h"

namespace qama::emulator {
namespace {

std::uint64_t ns_since(Clock::time_point start) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
}

}  // namespace

Result<std::unique_ptr<Machine>> Machine::create(const MachineConfig& config, bool pace) {
  std::unique_ptr<Machine> out(new Machine(config, pace));
  QAMA_RETURN_IF_ERROR(out->thread_.start([machine = out.get()] { machine->work(); }));
  return out;
}

Machine::~Machine() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (running_) running_->stop = true;
  }
  wake_.notify_all();
  (void)thread_.join().ok();
}

std::uint64_t Machine::program_ns(std::size_t bytes) const noexcept {
  return static_cast<std::uint64_t>(config_.program_ns_fixed +
                                    config_.program_ns_per_byte * static_cast<double>(bytes));
}

bool Machine::submit(std::shared_ptr<MachineJob> job) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_ >= static_cast<std::uint32_t>(config_.queue_limit)) return false;
    job->queued = Clock::now();
    const auto queue = queues_.try_emplace(job->user).first;
    try {
      queue->second.push_back(std::move(job));
    } catch (...) {
      if (queue->second.empty()) queues_.erase(queue);
      throw;
    }
    ++waiting_;
  }
  wake_.notify_one();
  return true;
}

bool Machine::cancel(const std::shared_ptr<MachineJob>& job) {
  const std::lock_guard lock(mutex_);
  const auto queue = queues_.find(job->user);
  if (queue != queues_.end()) {
    const auto at = std::find(queue->second.begin(), queue->second.end(), job);
    if (at != queue->second.end()) {
      queue->second.erase(at);
      if (queue->second.empty()) queues_.erase(queue);
      --waiting_;
      return true;
    }
  }
  job->stop = true;
  return false;
}

void Machine::clear() {
  std::unique_lock lock(mutex_);
  queues_.clear();
  waiting_ = 0;
  ++generation_;
  if (running_) running_->stop = true;
  called_.wait(lock, [this] { return !calling_; });
}

std::uint32_t Machine::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_ + (running_ ? 1U : 0U);
}

void Machine::work() {
  Annealer annealer(config_.dynamics);
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return ending_ || waiting_ > 0; });
    if (ending_) return;
    // The next user after the last one that has a job.
    auto queue = queues_.upper_bound(last_user_);
    if (queue == queues_.end()) queue = queues_.begin();
    last_user_ = queue->first;
    running_ = std::move(queue->second.front());
    queue->second.pop_front();
    if (queue->second.empty()) queues_.erase(queue);
    --waiting_;
    const std::shared_ptr<MachineJob> job = running_;
    job->started = true;
    const std::uint64_t generation = generation_;
    lock.unlock();
    try {
      solve(*job, annealer);
    } catch (const std::bad_alloc&) {
      job->end = MachineJob::End::failed;
    }
    lock.lock();
    running_.reset();
    if (generation == generation_ && !ending_ && job->done) {
      // Outside the lock, as the callee may ask the machine something.
      calling_ = true;
      lock.unlock();
      job->done();
      lock.lock();
      calling_ = false;
      called_.notify_all();
    }
  }
}

void Machine::solve(MachineJob& job, Annealer& annealer) {
  const Clock::time_point start = Clock::now();
  job.queue_ns = ns_since(job.queued);
  job.program_ns = program_ns(job.bytes);
  if (start > job.deadline) {
    job.end = MachineJob::End::late;
    return;
  }
  annealer.program(job.problem);
  for (int read = 0; read < job.reads; ++read) {
    // A stop also comes from the deadline: the reads that are done still count.
    if (read > 0 && Clock::now() > job.deadline) break;
    const std::uint64_t seed = job.seed + kGoldenRatio * static_cast<std::uint64_t>(read);
    if (!annealer.read(seed, job.stop)) {
      job.end = MachineJob::End::cancelled;
      return;
    }
    ++job.reads_done;
    if (job.keep_all) {
      job.answers.push_back(annealer.signs());
      job.energies.push_back(annealer.energy());
    } else if (read == 0 || annealer.energy() < job.energies[0]) {
      job.answers.assign(1, annealer.signs());
      job.energies.assign(1, annealer.energy());
    }
  }
  job.energy = *std::min_element(job.energies.begin(), job.energies.end());
  job.anneal_ns = static_cast<std::uint64_t>(config_.round_trip_ns * config_.dynamics.round_trips *
                                             job.reads_done);
  job.readout_ns = static_cast<std::uint64_t>(config_.readout_ns * job.reads_done);
  job.compute_ns = ns_since(start);
  if (pace_) {
    const std::uint64_t device_ns = job.program_ns + job.anneal_ns + job.readout_ns;
    if (device_ns > job.compute_ns) {
      std::this_thread::sleep_until(start + std::chrono::nanoseconds(device_ns));
      job.paced = true;
    }
  }
  job.end = MachineJob::End::solved;
}

}  // namespace qama::emulator
