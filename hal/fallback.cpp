#include "hal/fallback.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "hal/base/quote.h"
#include "hal/circuit_breaker.h"
#include "hal/verify.h"

namespace qama::hal {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array<std::string_view, 4> kNames = {"never", "error", "deadline", "hedge"};
constexpr std::int64_t kFirstReserveUs = 1000;  // the second device's time, before it was measured
constexpr std::int64_t kFirstHedgeUs = 2000;

std::int64_t us_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
}

/// What a device's solvers share.
struct Shared {
  explicit Shared(const FallbackOptions& o)
      : options(o), breaker(o.failures_to_open, o.cool_down_us) {}
  const FallbackOptions options;
  CircuitBreaker breaker;
  std::atomic<std::int64_t> by_first{0}, by_second{0}, failed{0};
  std::array<std::atomic<std::int64_t>, 6> reasons{};
};

/// Mistakes of the caller, not of the device: nobody else would solve the job either. Or a device
/// that somebody operates by hand has no answer yet (NOT_FOUND): nobody else is asked for it.
bool callers_fault(ErrorCode code) noexcept {
  return code == ErrorCode::invalid_argument || code == ErrorCode::cancelled ||
         code == ErrorCode::not_found;
}

class FallbackSolver final : public Solver {
 public:
  FallbackSolver(std::shared_ptr<Shared> shared, std::unique_ptr<Solver> first,
                 std::unique_ptr<Solver> second, Verifier verifier, const Workload& workload)
      : shared_(std::move(shared)),
        first_(std::move(first)),
        second_(std::move(second)),
        verifier_(std::move(verifier)) {
    // Without a first device jobs are solved in wait(), so any number may be waiting.
    jobs_ = std::vector<Job>(static_cast<std::size_t>(first_ ? first_->max_in_flight() : 1));
    spare_.resize(static_cast<std::size_t>(workload.shape.heads) *
                  static_cast<std::size_t>(words_per_head(workload.shape.tokens)));
  }

  std::int32_t max_in_flight() const noexcept override {
    return static_cast<std::int32_t>(jobs_.size());
  }

  Status submit(std::int32_t slot, const Problem& problem, const SolveOptions& options) override {
    if (slot < 0 || slot >= max_in_flight() || jobs_[static_cast<std::size_t>(slot)].pending) {
      return Error{ErrorCode::invalid_argument, "slot " + std::to_string(slot) +
                                                    " is taken or not one of " +
                                                    std::to_string(max_in_flight())};
    }
    Job& job = jobs_[static_cast<std::size_t>(slot)];
    job.problem = problem;
    job.options = options;
    job.start = Clock::now();
    job.error = {ErrorCode::ok, {}};
    job.reason = FallbackReason::none;
    job.cancelled = false;
    job.with_first = false;
    if (!first_) {
      job.reason = FallbackReason::unsupported;
      job.error.code = ErrorCode::problem_too_large;
    } else if (!shared_->breaker.admits()) {
      job.reason = FallbackReason::circuit_open;
      job.error = {ErrorCode::device_unavailable,
                   "the device failed again and again and is left alone for a while"};
      if (policy() == FallbackPolicy::never) return job.error;
    } else {
      auto submitted = first_->submit(slot, problem, options);
      if (submitted.ok()) {
        job.with_first = true;
      } else {
        if (policy() == FallbackPolicy::never || callers_fault(submitted.error().code))
          return submitted;
        note_failure(job, std::move(submitted).error());
      }
    }
    job.pending = true;
    return {};
  }

  bool wait_ready(std::int32_t slot, std::int64_t timeout_us) override {
    if (slot < 0 || slot >= max_in_flight()) return true;
    return !jobs_[static_cast<std::size_t>(slot)].with_first ||
           first_->wait_ready(slot, timeout_us);
  }

  Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) override {
    if (slot < 0 || slot >= max_in_flight() || !jobs_[static_cast<std::size_t>(slot)].pending) {
      return Error{ErrorCode::invalid_argument,
                   "slot " + std::to_string(slot) + " has no job to wait for"};
    }
    Job& job = jobs_[static_cast<std::size_t>(slot)];
    job.pending = false;
    if (job.with_first) {
      const bool hedges = policy() == FallbackPolicy::hedge;
      const std::int64_t patience = patience_us(job);
      if (patience >= 0 && !first_->wait_ready(slot, patience)) {
        if (hedges) return hedge(job, slot, spins, result);
        // Too late: what is left of the time belongs to the second device.
        first_->cancel(slot);
        auto ended = first_->wait(slot, spins, result);
        if (ended.ok() && accept(job, spins, result)) return solved_by_first();
        if (job.error.code == ErrorCode::ok) {
          job.error = {ErrorCode::deadline_exceeded, "the device was too late"};
          job.reason = FallbackReason::deadline;
          shared_->breaker.failed(job.start);
        }
      } else {
        auto waited = first_->wait(slot, spins, result);
        if (waited.ok()) {
          if (accept(job, spins, result)) return solved_by_first();
        } else {
          note_failure(job, std::move(waited).error());
        }
        if (policy() == FallbackPolicy::never || callers_fault(job.error.code)) return give_up(job);
      }
    }
    if (job.cancelled) return Error{ErrorCode::cancelled, "the job was cancelled"};
    return solve_by_second(job, spins, result);
  }

  void cancel(std::int32_t slot) noexcept override {
    if (slot < 0 || slot >= max_in_flight()) return;
    Job& job = jobs_[static_cast<std::size_t>(slot)];
    job.cancelled = true;
    if (first_) first_->cancel(slot);
  }

 private:
  struct Job {
    Problem problem;
    SolveOptions options;
    Clock::time_point start;
    Error error{ErrorCode::ok, {}};  // the first device's
    FallbackReason reason = FallbackReason::none;
    bool pending = false;
    bool with_first = false;
    std::atomic<bool> cancelled{false};
    Job() = default;
    Job(const Job&) : Job() {}  // vectors are made of empty jobs only
  };

  [[nodiscard]] FallbackPolicy policy() const noexcept { return shared_->options.policy; }

  void note_failure(Job& job, Error error) {
    job.reason = error.code == ErrorCode::deadline_exceeded   ? FallbackReason::deadline
                 : error.code == ErrorCode::problem_too_large ? FallbackReason::unsupported
                                                              : FallbackReason::error;
    if (!callers_fault(error.code)) shared_->breaker.failed(job.start);
    job.error = std::move(error);
  }

  Status give_up(Job& job) {
    shared_->failed.fetch_add(1);
    return std::move(job.error);
  }

  /// How long wait() may leave the job with the first device; -1: as long as that takes itself.
  [[nodiscard]] std::int64_t patience_us(const Job& job) const {
    std::int64_t patience = -1;
    if (policy() == FallbackPolicy::deadline || policy() == FallbackPolicy::hedge) {
      if (job.options.deadline_us > 0) {
        const std::int64_t left = job.options.deadline_us - us_since(job.start);
        patience = std::max<std::int64_t>(left - 2 * second_us_, 0);
      }
    }
    if (policy() == FallbackPolicy::hedge) {
      const std::int64_t late =
          shared_->options.hedge_after_us > 0 ? shared_->options.hedge_after_us : 2 * first_us_;
      const std::int64_t left = std::max<std::int64_t>(late - us_since(job.start), 0);
      patience = patience < 0 ? left : std::min(patience, left);
    }
    return patience;
  }

  /// The first device's answer, if it stands the check.
  bool accept(Job& job, std::span<std::uint64_t> spins, SolveResult& result) {
    auto checked = verifier_.verify_answer(job.problem, spins, result.energy);
    if (!checked.ok()) {
      note_failure(job, std::move(checked).error());
      return false;
    }
    shared_->breaker.succeeded();
    first_us_ += (us_since(job.start) - first_us_) / 8;
    return true;
  }

  Status solved_by_first() {
    shared_->by_first.fetch_add(1);
    shared_->reasons[0].fetch_add(1);
    return {};
  }

  Status solve_by_second(Job& job, std::span<std::uint64_t> spins, SolveResult& result) {
    SolveOptions options = job.options;
    if (options.deadline_us > 0) {
      // An answer that is late is still better than none: at least one restart is made.
      options.deadline_us = std::max<std::int64_t>(options.deadline_us - us_since(job.start), 1);
    }
    const Clock::time_point start = Clock::now();
    auto solved = second_->solve(job.problem, options, spins, result);
    if (!solved.ok()) {
      shared_->failed.fetch_add(1);
      return solved;
    }
    second_us_ += (us_since(start) - second_us_) / 8;
    result.fallback = job.reason;
    result.device_error = job.error.code;
    result.timing.total_us = static_cast<double>(us_since(job.start));
    shared_->by_second.fetch_add(1);
    shared_->reasons[static_cast<std::size_t>(job.reason)].fetch_add(1);
    return {};
  }

  /// The first device is late: the second works, then whoever is done wins. If both are, the lower
  /// energy does.
  Status hedge(Job& job, std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) {
    SolveOptions options = job.options;
    if (options.deadline_us > 0) {
      options.deadline_us = std::max<std::int64_t>(options.deadline_us - us_since(job.start), 1);
    }
    const Clock::time_point start = Clock::now();
    SolveResult second;
    auto solved = second_->solve(job.problem, options, spare_, second);
    second_us_ += (us_since(start) - second_us_) / 8;
    if (!solved.ok() || first_->wait_ready(slot, 0)) {
      auto waited = first_->wait(slot, spins, result);
      if (waited.ok()) {
        if (accept(job, spins, result) && (!solved.ok() || result.energy <= second.energy)) {
          return solved_by_first();
        }
      } else {
        note_failure(job, std::move(waited).error());
      }
    } else {
      first_->cancel(slot);
      (void)first_->wait(slot, spins, result).ok();
    }
    if (!solved.ok()) return give_up(job);
    if (job.cancelled) return Error{ErrorCode::cancelled, "the job was cancelled"};
    std::copy_n(spare_.begin(), std::min(spare_.size(), spins.size()), spins.begin());
    result = second;
    result.fallback = job.error.code == ErrorCode::ok ? FallbackReason::hedge_won : job.reason;
    result.device_error = job.error.code;
    result.timing.total_us = static_cast<double>(us_since(job.start));
    shared_->by_second.fetch_add(1);
    shared_->reasons[static_cast<std::size_t>(result.fallback)].fetch_add(1);
    return {};
  }

  const std::shared_ptr<Shared> shared_;
  const std::unique_ptr<Solver> first_;  // null: it does not support the shape
  const std::unique_ptr<Solver> second_;
  Verifier verifier_;
  std::vector<Job> jobs_;
  std::vector<std::uint64_t> spare_;
  std::int64_t first_us_ = kFirstHedgeUs / 2;
  std::int64_t second_us_ = kFirstReserveUs;
};

class FallbackDevice final : public Device {
 public:
  FallbackDevice(std::shared_ptr<Device> first, std::shared_ptr<Device> second,
                 const FallbackOptions& options)
      : first_(std::move(first)),
        second_(std::move(second)),
        shared_(std::make_shared<Shared>(options)) {}

  const DeviceInfo& info() const noexcept override { return first_->info(); }
  Result<DeviceHealth> probe() override { return first_->probe(); }
  Status supports(const Workload& workload) const override {
    auto supported = first_->supports(workload);
    if (supported.ok() || shared_->options.policy == FallbackPolicy::never) return supported;
    return second_->supports(workload);
  }
  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    QAMA_RETURN_IF_ERROR(supports(workload));
    std::unique_ptr<Solver> first;
    if (first_->supports(workload).ok()) {
      QAMA_ASSIGN_OR_RETURN(first, first_->compile(workload));
    }
    QAMA_ASSIGN_OR_RETURN(auto second, second_->compile(workload));
    QAMA_ASSIGN_OR_RETURN(Verifier verifier, Verifier::create(workload));
    return std::unique_ptr<Solver>(std::make_unique<FallbackSolver>(
        shared_, std::move(first), std::move(second), std::move(verifier), workload));
  }
  [[nodiscard]] const Shared& shared() const noexcept { return *shared_; }
  [[nodiscard]] const Device& first() const noexcept { return *first_; }

 private:
  const std::shared_ptr<Device> first_;
  const std::shared_ptr<Device> second_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace

std::string_view fallback_policy_name(FallbackPolicy policy) noexcept {
  return kNames[static_cast<std::size_t>(policy) & 3U];
}

Result<FallbackPolicy> parse_fallback_policy(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (text == kNames[i]) return static_cast<FallbackPolicy>(i);
  }
  return Error{ErrorCode::invalid_argument,
               "fall-back " + quote(text) + ", expected one of never, error, deadline, hedge"};
}

Result<std::shared_ptr<Device>> with_fallback(std::shared_ptr<Device> first,
                                              std::shared_ptr<Device> second,
                                              const FallbackOptions& options) {
  if (first == nullptr || second == nullptr || options.hedge_after_us < 0 ||
      options.failures_to_open < 1 || options.cool_down_us < 1) {
    return Error{ErrorCode::invalid_argument, "a fall-back needs two devices and positive times"};
  }
  return std::shared_ptr<Device>(
      std::make_shared<FallbackDevice>(std::move(first), std::move(second), options));
}

const Device* first_of(const Device& device) noexcept {
  const auto* fallback = dynamic_cast<const FallbackDevice*>(&device);
  return fallback != nullptr ? &fallback->first() : nullptr;
}

FallbackCounts fallback_counts(const Device& device) {
  FallbackCounts out;
  const auto* fallback = dynamic_cast<const FallbackDevice*>(&device);
  if (fallback == nullptr) return out;
  const Shared& shared = fallback->shared();
  out.solved_by_first = shared.by_first;
  out.solved_by_second = shared.by_second;
  out.failed = shared.failed;
  for (std::size_t i = 0; i < shared.reasons.size(); ++i) out.reasons[i] = shared.reasons[i];
  return out;
}

}  // namespace qama::hal
