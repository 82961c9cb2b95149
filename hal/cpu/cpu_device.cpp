#include "hal/cpu/cpu_device.h"

#include <algorithm>
#include <bit>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "hal/cpu/kernel.h"
#include "hal/cpu/recombine.h"
#include "hal/cpu/schedule.h"
#include "runtime/base/aligned.h"

namespace qama::hal::cpu {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

inline constexpr std::int32_t kMaxSweeps = 1 << 20;
inline constexpr std::int32_t kMaxRestarts = 1 << 20;

Status check_options(const SolveOptions& options) {
  if (options.sweeps < 0 || options.sweeps > kMaxSweeps) {
    return Error{ErrorCode::invalid_argument, std::to_string(options.sweeps) +
                                                  " sweeps, expected 0 to " +
                                                  std::to_string(kMaxSweeps)};
  }
  if (options.restarts < 1 || options.restarts > kMaxRestarts) {
    return Error{ErrorCode::invalid_argument, std::to_string(options.restarts) +
                                                  " restarts, expected 1 to " +
                                                  std::to_string(kMaxRestarts)};
  }
  if (options.rounds < 0 || options.rounds > kMaxRestarts || options.round_sweeps < 0 ||
      options.round_sweeps > kMaxSweeps) {
    return Error{ErrorCode::invalid_argument,
                 std::to_string(options.rounds) + " rounds of " + std::to_string(options.round_sweeps) +
                     " sweeps, expected 0 to " + std::to_string(kMaxRestarts) + " of 0 to " +
                     std::to_string(kMaxSweeps)};
  }
  const auto usable = [](float t) { return t > 0.0F && t < 1e6F; };
  if (!usable(options.t_round)) {
    return Error{ErrorCode::invalid_argument, "temperature " + std::to_string(options.t_round) +
                                                  " of rounds, expected a number between 0 and 1e6"};
  }
  if (!usable(options.t_start) || !usable(options.t_end)) {
    return Error{ErrorCode::invalid_argument,
                 "temperatures " + std::to_string(options.t_start) + " and " +
                     std::to_string(options.t_end) + ", expected numbers between 0 and 1e6"};
  }
  return {};
}

/// A number of sweeps as SolveResult has it.
std::int32_t counted(std::int64_t sweeps) {
  return static_cast<std::int32_t>(std::min<std::int64_t>(sweeps, INT32_MAX));
}

/// What SolveResult::solved_by says, in static storage.
struct KernelNames {
  const char* plain;
  const char* planes;  ///< on bit planes
};

KernelNames names_of(std::string_view kernel) {
  if (kernel == "scalar") return {"cpu:scalar", ""};
  if (kernel == "sse2") return {"cpu:sse2", "cpu:sse2 bit planes"};
  if (kernel == "avx2") return {"cpu:avx2", "cpu:avx2 bit planes"};
  if (kernel == "avx512") return {"cpu:avx512", "cpu:avx512 bit planes"};
  if (kernel == "neon") return {"cpu:neon", "cpu:neon bit planes"};
  return {"cpu:", "cpu: bit planes"};
}

/// Watches a job's deadline. A kernel asks before every sweep; the sweeps end while there is still time for the
/// final descent, which is taken to last as long as kDescentSweeps of them.
class Deadline {
 public:
  Deadline(Clock::time_point start, std::int64_t deadline_us) : start_(start), limit_us_(deadline_us) {}
  [[nodiscard]] bool given() const { return limit_us_ > 0; }
  void start_group() {
    if (!given()) return;  // the clock is read for deadlines only
    group_us_ = microseconds_since(start_);
    asked_ = 0;
  }
  /// Whether another group of restarts would be too late, after one that took as long as the last.
  [[nodiscard]] bool no_time_for_another() const {
    if (!given()) return false;
    const double now = microseconds_since(start_);
    return now + (now - group_us_) > static_cast<double>(limit_us_);
  }
  static bool stop(void* context) {
    auto& self = *static_cast<Deadline*>(context);
    const double now = microseconds_since(self.start_);
    const double sweep = self.asked_ > 0 ? (now - self.group_us_) / self.asked_ : 0.0;
    ++self.asked_;
    return now + kDescentSweeps * sweep > static_cast<double>(self.limit_us_);
  }

 private:
  static constexpr double kDescentSweeps = 8;
  const Clock::time_point start_;
  const std::int64_t limit_us_;
  double group_us_ = 0;
  std::int64_t asked_ = 0;
};

class CpuSolver final : public Solver {
 public:
  CpuSolver(const Kernel& kernel, const ProblemShape& shape, const KernelNames& names)
      : kernel_(kernel), shape_(shape), names_(names) {
    const std::size_t stride = static_cast<std::size_t>(row_stride(shape.tokens));
    const std::size_t words = round_up(words_of(shape), 8);
    fields_.resize((kMaxChains + 1) * shape.heads * stride);
    counts_.resize((kMaxChains + 1) * stride);
    spins_.resize((kMaxChains + 1) * words);
    for (std::int32_t c = 0; c <= kMaxChains; ++c) {
      Chain& chain = c < kMaxChains ? chains_[static_cast<std::size_t>(c)] : best_;
      chain.fields = fields_.data() + c * shape.heads * stride;
      chain.counts = counts_.data() + c * stride;
      chain.spins = spins_.data() + c * words;
    }
    temperatures_.resize(kInitialSweeps);
    if (can_recombine(shape)) pool_ = std::make_unique_for_overwrite<HeadPool>();
  }

  Status submit(std::int32_t slot, const SelectionProblem& problem,
                const SolveOptions& options) override {
    if (slot != 0) {
      return Error{ErrorCode::invalid_argument,
                   "slot " + std::to_string(slot) + ", expected 0: the CPU solves one job at a time"};
    }
    QAMA_RETURN_IF_ERROR(check(problem, options));
    const auto start = Clock::now();
    const auto longest = static_cast<std::size_t>(std::max(options.sweeps, options.round_sweeps));
    if (longest > temperatures_.size()) temperatures_.resize(longest);
    const double unit = problem.row_norm > 0 ? problem.row_norm : row_norm(problem);
    fill_temperatures(unit, options.t_start, options.t_end, options.sweeps,
                      temperatures_.data());
    Deadline deadline(start, options.deadline_us);
    AnnealJob job{problem, temperatures_.data(), options.sweeps, options.seed, true};
    if (deadline.given()) {
      job.stop = Deadline::stop;
      job.context = &deadline;
    }
    result_ = SolveResult{};
    groups_ = 0;
    sweeps_ = 0;
    const bool recombines =
        options.rounds > 0 && options.restarts >= kPoolRestarts && pool_ != nullptr && can_recombine(problem);
    if (recombines) {
      start_pool(*pool_, problem);
    }
    const bool planes = options.rounds == 0 && packs(problem);
    result_.solved_by = planes ? names_.planes : names_.plain;
    for (std::int32_t done = 0; done < options.restarts; done = result_.restarts) {
      const std::int32_t count = std::min(kMaxChains, options.restarts - done);
      for (std::int32_t c = 0; c < count; ++c) {
        chains_[c].restart = done + c;
        chains_[c].resume = false;
      }
      run_group(job, count, deadline, options.rounds > 0, planes, recombines);
      result_.restarts += count;
      if (deadline.no_time_for_another()) break;
    }
    if (options.rounds > 0) {
      fill_temperatures(unit, options.t_round, options.t_end, options.round_sweeps, temperatures_.data());
      fill_temperatures(unit, options.t_end, options.t_end, kAdaptSweeps, adapt_temperatures_.data());
      std::int32_t next = options.restarts;
      for (;;) {
        if (recombines && !deadline.no_time_for_another()) recombine(job, next, deadline);
        if (result_.rounds == options.rounds || deadline.no_time_for_another()) break;
        job.temperatures = temperatures_.data();
        job.reheated = reheated_heads(problem.shape.heads);
        job.sweeps = options.round_sweeps;
        for (Chain& chain : chains_) {
          chain.restart = next++;
          chain.resume = true;
          copy_state(problem.shape, best_, chain);
          random_heads(options.seed, chain.restart, problem.shape.heads, problem.shape.heads, chain.order.data());
        }
        run_group(job, kMaxChains, deadline, true, false, recombines);
        ++result_.rounds;
      }
    }
    const std::size_t words = words_of(problem.shape);
    result_.sweeps = counted(sweeps_);
    result_.real_energy = static_cast<double>(result_.energy) / problem.scale + problem.offset;
    answer_words_ = words;
    pending_ = true;
    result_.timing.anneal_us = microseconds_since(start);
    result_.timing.total_us = result_.timing.anneal_us;
    return {};
  }

  Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) override {
    if (slot != 0 || !pending_) {
      return Error{ErrorCode::invalid_argument,
                   "slot " + std::to_string(slot) + " has no job to wait for"};
    }
    pending_ = false;
    if (spins.size() < answer_words_) {
      return Error{ErrorCode::invalid_argument, "room for " + std::to_string(spins.size()) +
                                                    " words of spins, expected " +
                                                    std::to_string(answer_words_)};
    }
    std::memcpy(spins.data(), best_.spins, answer_words_ * sizeof(std::uint64_t));
    result = result_;
    return {};
  }

 private:
  // Longer schedules than this grow the table once, at the first job that asks for it.
  static constexpr std::size_t kInitialSweeps = 1024;

  // Three of eight: of two, three, four and five, with the others at the last temperature, three did best.
  static constexpr std::int32_t reheated_heads(std::int32_t heads) { return (3 * heads + 7) / 8; }

  static std::size_t words_of(const ProblemShape& shape) {
    return static_cast<std::size_t>(shape.heads) * static_cast<std::size_t>(words_per_head(shape.tokens));
  }

  static void copy_state(const ProblemShape& shape, const Chain& from, Chain& to) {
    const auto stride = static_cast<std::size_t>(row_stride(shape.tokens));
    std::memcpy(to.fields, from.fields, static_cast<std::size_t>(shape.heads) * stride * sizeof(std::int16_t));
    std::memcpy(to.counts, from.counts, stride * sizeof(std::int16_t));
    std::memcpy(to.spins, from.spins, words_of(shape) * sizeof(std::uint64_t));
  }

  // Combinations of the heads of all answers so far, which adapt to each other at the last temperature.
  void recombine(AnnealJob& job, std::int32_t& next, Deadline& deadline) {
    pool_->limit = proposal_limit(result_.energy, pool_->shift, job.problem.penalty);
    const std::int32_t count = kernel_.search(*pool_, job.problem);
    job.temperatures = adapt_temperatures_.data();
    job.reheated = 0;
    job.sweeps = kAdaptSweeps;
    for (std::int32_t first = 0; first < count && !deadline.no_time_for_another(); first += kMaxChains) {
      kernel_.assemble(*pool_, job.problem, first, chains_);
      for (Chain& chain : chains_) {
        chain.restart = next++;
        chain.resume = true;
      }
      run_group(job, kMaxChains, deadline, true, false, true);
    }
  }

  // Anneals the first `count` chains and keeps the best answer; the first of equals, so that the order of
  // restarts decides and nothing else. With `whole` its fields and counts are kept too, with `collects` all answers' heads.
  void run_group(const AnnealJob& job, std::int32_t count, Deadline& deadline, bool whole, bool planes,
                 bool collects) {
    deadline.start_group();
    const auto group = std::span<Chain>(chains_).first(static_cast<std::size_t>(count));
    if (planes) {
      kernel_.anneal_planes(job, planes_, group, counters_.data());
    } else {
      kernel_.anneal(job, group);
    }
    std::int32_t best = -1;
    for (std::int32_t c = 0; c < count; ++c) {
      const Chain& chain = chains_[c];
      result_.proposals += chain.proposals;
      result_.flips += chain.flips;
      const bool first = groups_ == 0 && c == 0;
      if (!first && chain.energy >= result_.energy) continue;
      result_.energy = chain.energy;
      best = c;
    }
    ++groups_;
    sweeps_ += static_cast<std::int64_t>(count) * job.sweeps;
    if (collects) kernel_.collect(*pool_, job.problem, group, best);
    if (best < 0) return;
    if (whole) {
      copy_state(job.problem.shape, chains_[best], best_);
    } else {
      std::memcpy(best_.spins, chains_[best].spins, words_of(job.problem.shape) * sizeof(std::uint64_t));
    }
  }

  Status check(const SelectionProblem& problem, const SolveOptions& options) const {
    if (problem.shape.heads != shape_.heads || problem.shape.tokens < 1 ||
        problem.shape.tokens > shape_.tokens) {
      return Error{ErrorCode::invalid_argument,
                   "a problem of " + std::to_string(problem.shape.heads) + " x " +
                       std::to_string(problem.shape.tokens) + " spins, expected " +
                       std::to_string(shape_.heads) + " x 1 to " + std::to_string(shape_.tokens)};
    }
    return check_options(options);
  }

  // Whether the couplings are few-valued, so that bit planes do it (planes.h). A layer's couplings show in
  // their first row that they are not. Heads of one word gain nothing.
  bool packs(const SelectionProblem& problem) {
    if (kernel_.pack_planes == nullptr || problem.shape.heads != 1 || problem.shape.tokens <= 64) return false;
    if (plane_bits_.size() == 0) {
      // Once, at the first job that may need it: layers of long heads must not pay for it.
      if (!few_values_in_first_row(problem)) return false;
      plane_bits_.resize(plane_bits_words(shape_.tokens));
      plane_own_.resize(plane_own_words(shape_.tokens));
      counters_.resize(kMaxChains * plane_counter_words(shape_.tokens));
      planes_.bits = plane_bits_.data();
      planes_.own = plane_own_.data();
    }
    return kernel_.pack_planes(problem, planes_);
  }

  static bool few_values_in_first_row(const SelectionProblem& problem) {
    std::array<std::int16_t, kMaxPlanes + 1> value{};
    std::size_t values = 0;
    for (std::int32_t j = 1; j < problem.shape.tokens; ++j) {
      const std::int16_t w = problem.couplings[j];
      if (std::find(value.begin(), value.begin() + values, w) != value.begin() + values) continue;
      if (values == value.size()) return false;
      value[values++] = w;
    }
    return true;
  }

  const Kernel& kernel_;
  const ProblemShape shape_;
  const KernelNames names_;
  CouplingPlanes planes_;
  AlignedBuffer<std::uint64_t> plane_bits_, plane_own_;
  AlignedBuffer<std::uint64_t> counters_;
  AlignedBuffer<std::int16_t> fields_;
  AlignedBuffer<std::int16_t> counts_;
  AlignedBuffer<std::uint64_t> spins_;
  AlignedBuffer<std::uint16_t> temperatures_;
  std::array<std::uint16_t, kAdaptSweeps> adapt_temperatures_{};
  std::unique_ptr<HeadPool> pool_;  ///< null: no problem of this shape has its heads recombined
  std::array<Chain, kMaxChains> chains_;
  Chain best_;  ///< state of the best answer
  SolveResult result_;
  std::int32_t groups_ = 0;  ///< of restarts, of a job
  std::int64_t sweeps_ = 0;  ///< of a job, all groups
  std::size_t answer_words_ = 0;
  bool pending_ = false;
};

class CpuLowRankSolver final : public LowRankSolver {
 public:
  CpuLowRankSolver(const Kernel& kernel, const ProblemShape& shape, std::int32_t rank,
                   const char* solved_by)
      : kernel_(kernel), shape_(shape), rank_(rank), solved_by_(solved_by) {
    const auto heads = static_cast<std::size_t>(shape.heads);
    const auto tiles = static_cast<std::size_t>((shape.tokens + kTile - 1) / kTile);
    const std::size_t stride = round_up(static_cast<std::size_t>(rank), kTile);
    // The solver reads the problem's own rows where they are whole lines of lanes.
    if (stride != static_cast<std::size_t>(rank)) {
      left_.resize(heads * static_cast<std::size_t>(shape.tokens) * stride);
      right_.resize(left_.size());
    }
    tail_.resize(heads * kTile * stride);
    known_.resize(std::min(heads * tiles, static_cast<std::size_t>(kKeptTiles)));
    inside_.resize(known_.size() * kTile * kTile);
    self_.resize(heads * tiles * kTile);
    fields_.resize(heads * tiles * kTile);
    scale_.resize(heads);
    shift_.resize(heads);
    z_.resize(heads * stride);
    counts_.resize(tiles * kTile);
    spins_.resize(heads * static_cast<std::size_t>(words_per_head(shape.tokens)));
    best_.resize(spins_.size());
    temperatures_.resize(kInitialSweeps);
    layout_.stride = static_cast<std::int32_t>(stride);
    layout_.heads = shape.heads;
    layout_.left_copy = left_.empty() ? nullptr : left_.data();
    layout_.right_copy = right_.empty() ? nullptr : right_.data();
    layout_.tail = tail_.data();
    layout_.known = known_.data();
    layout_.self = self_.data();
    layout_.fields = fields_.data();
    layout_.scale = scale_.data();
    layout_.shift = shift_.data();
  }

  Status solve(const LowRankProblem& problem, const SolveOptions& options,
               std::span<std::uint64_t> spins, SolveResult& result) override {
    if (problem.shape.heads != shape_.heads || problem.rank != rank_ || problem.shape.tokens < 1 ||
        problem.shape.tokens > shape_.tokens) {
      return Error{ErrorCode::invalid_argument,
                   "a low-rank problem of " + std::to_string(problem.shape.heads) + " x " +
                       std::to_string(problem.shape.tokens) + " spins, rank " +
                       std::to_string(problem.rank) + ", expected " + std::to_string(shape_.heads) +
                       " x 1 to " + std::to_string(shape_.tokens) + ", rank " + std::to_string(rank_)};
    }
    QAMA_RETURN_IF_ERROR(check_options(options));
    const std::size_t words = static_cast<std::size_t>(problem.shape.heads) *
                              static_cast<std::size_t>(words_per_head(problem.shape.tokens));
    if (spins.size() < words) {
      return Error{ErrorCode::invalid_argument, "room for " + std::to_string(spins.size()) +
                                                    " words of spins, expected " +
                                                    std::to_string(words)};
    }
    const auto start = Clock::now();
    layout_.tokens = problem.shape.tokens;
    layout_.tiles = (problem.shape.tokens + kTile - 1) / kTile;
    layout_.block_tiles =
        shape_.heads > 1 ? layout_.tiles : std::max(4, kBlockFloats / (kTile * layout_.stride));
    layout_.inside = shape_.heads * layout_.tiles <= kKeptTiles ? inside_.data() : nullptr;
    layout_.unit_tiles = options.sweeps > 0 ? layout_.tiles : kUnitTiles;
    kernel_.load_low_rank(problem, layout_);
    QAMA_RETURN_IF_ERROR(check_finite(problem));
    if (static_cast<std::size_t>(options.sweeps) > temperatures_.size()) {
      temperatures_.resize(static_cast<std::size_t>(options.sweeps));
    }
    fill_float_temperatures(layout_.unit, options.t_start, options.t_end, options.sweeps,
                            temperatures_.data());
    const LowRankJob job{&layout_, temperatures_.data(), options.sweeps, options.seed};
    result = SolveResult{};
    result.solved_by = solved_by_;
    for (std::int32_t restart = 0; restart < options.restarts; ++restart) {
      LowRankChain chain;
      chain.restart = restart;
      chain.spins = spins_.data();
      chain.z = z_.data();
      chain.counts = counts_.data();
      kernel_.anneal_low_rank(job, chain);
      result.proposals += chain.proposals;
      result.flips += chain.flips;
      result.restarts = restart + 1;
      if (restart == 0 || chain.energy < result.real_energy) {
        result.real_energy = chain.energy;
        std::memcpy(best_.data(), spins_.data(), words * sizeof(std::uint64_t));
      }
      if (options.deadline_us > 0) {
        const double spent = microseconds_since(start);
        if (spent + spent / (restart + 1) > static_cast<double>(options.deadline_us)) break;
      }
    }
    if (!std::isfinite(result.real_energy)) {
      return Error{ErrorCode::problem_bad_value,
                   "a low-rank problem's energy is not finite: its factors or fields are too large"};
    }
    result.sweeps = counted(static_cast<std::int64_t>(result.restarts) * options.sweeps);
    std::memcpy(spins.data(), best_.data(), words * sizeof(std::uint64_t));
    result.timing.anneal_us = microseconds_since(start);
    result.timing.total_us = result.timing.anneal_us;
    return {};
  }

  // A factor that is not finite shows in its own token's product left_i . right_i, which the layout holds:
  // nothing of size N D is read again.
  Status check_finite(const LowRankProblem& problem) const {
    const std::size_t rows = static_cast<std::size_t>(layout_.tiles) * kTile;
    if (std::isfinite(problem.penalty) && std::isfinite(layout_.unit)) {
      // Without a branch a number, so that a compiler makes vectors of it. Behind the tokens there are zeros.
      constexpr std::uint32_t kExponent = 0x7F800000;
      std::uint32_t bad = 0;
      for (std::size_t i = 0; i < static_cast<std::size_t>(layout_.heads) * rows; ++i) {
        bad |= (std::bit_cast<std::uint32_t>(layout_.self[i]) & kExponent) == kExponent ? 1U : 0U;
        bad |= (std::bit_cast<std::uint32_t>(layout_.fields[i]) & kExponent) == kExponent ? 1U : 0U;
      }
      if (bad == 0) return {};
    }
    return Error{ErrorCode::problem_bad_value,
                 "a low-rank problem has a factor, shift, field or penalty that is not a finite number"};
  }

  std::size_t memory_bytes() const noexcept override {
    return (left_.size() + right_.size() + tail_.size() + inside_.size() + self_.size() +
            fields_.size() + scale_.size() + shift_.size() + z_.size() + counts_.size() +
            temperatures_.size()) *
               sizeof(float) +
           known_.size() * sizeof(std::uint16_t) +
           (spins_.size() + best_.size()) * sizeof(std::uint64_t);
  }

 private:
  static constexpr std::size_t kInitialSweeps = 1024;

  const Kernel& kernel_;
  const ProblemShape shape_;
  const std::int32_t rank_;
  const char* const solved_by_;
  LowRankLayout layout_;
  AlignedBuffer<float> left_, right_, tail_, inside_, self_, fields_, scale_, shift_, z_, counts_,
      temperatures_;
  AlignedBuffer<std::uint16_t> known_;
  AlignedBuffer<std::uint64_t> spins_, best_;
};

class CpuDevice final : public Device {
 public:
  CpuDevice(const Kernel& kernel, std::string_view asked) : kernel_(kernel) {
    info_.uri = "cpu:" + std::string(kernel.name);
    info_.name = "CPU annealer, kernel " + std::string(kernel.name);
    info_.detail = asked.empty() ? "the fastest kernel that this machine runs; it needs "
                                 : "asked for by name; it needs ";
    info_.detail += kernel.needs;
    info_.coupling_bits = 16;
    info_.encodings = {"block_i16"};
  }

  const DeviceInfo& info() const noexcept override { return info_; }
  Result<DeviceHealth> probe() override { return DeviceHealth{}; }
  Status supports(const ProblemShape& shape) const override { return validate_shape(shape); }
  Result<std::unique_ptr<Solver>> compile(const ProblemShape& shape) override {
    QAMA_RETURN_IF_ERROR(supports(shape));
    return std::unique_ptr<Solver>(
        std::make_unique<CpuSolver>(kernel_, shape, names_of(kernel_.name)));
  }
  Result<std::unique_ptr<LowRankSolver>> compile_low_rank(const ProblemShape& shape,
                                                          std::int32_t rank) override {
    if (shape.heads < 1 || shape.heads > kMaxHeads || shape.tokens < 1 ||
        shape.tokens > kMaxTokens || rank < 1 || rank > kMaxRankLimit) {
      return Error{ErrorCode::problem_too_large,
                   "a low-rank layer of " + std::to_string(shape.heads) + " x " +
                       std::to_string(shape.tokens) + " spins, rank " + std::to_string(rank) +
                       ", expected at most " + std::to_string(kMaxHeads) + " x " +
                       std::to_string(kMaxTokens) + ", rank " + std::to_string(kMaxRankLimit)};
    }
    return std::unique_ptr<LowRankSolver>(
        std::make_unique<CpuLowRankSolver>(kernel_, shape, rank, names_of(kernel_.name).plain));
  }

 private:
  const Kernel& kernel_;
  DeviceInfo info_;
};

std::string kernel_names() {
  std::string names;
  for (const Kernel& kernel : kernels()) {
    if (!names.empty()) names += ", ";
    names += kernel.name;
  }
  return names;
}

}  // namespace

Result<std::shared_ptr<Device>> open_cpu_device(std::string_view name) {
  if (name.empty()) {
    return std::shared_ptr<Device>(std::make_shared<CpuDevice>(best_kernel(), name));
  }
  for (const Kernel& kernel : kernels()) {
    if (kernel.name != name) continue;
    if (!kernel.supported()) {
      return Error{ErrorCode::device_unavailable, "device 'cpu:" + std::string(name) +
                                                      "': this machine lacks " +
                                                      std::string(kernel.needs)};
    }
    return std::shared_ptr<Device>(std::make_shared<CpuDevice>(kernel, name));
  }
  return Error{ErrorCode::device_unknown, "device 'cpu:" + std::string(name) +
                                              "': no such kernel in this build, expected one of " +
                                              kernel_names()};
}

std::vector<DeviceListing> list_cpu_devices() {
  std::vector<DeviceListing> out;
  const Kernel& best = best_kernel();
  for (const Kernel& kernel : kernels()) {
    DeviceListing line;
    line.uri = "cpu:" + std::string(kernel.name);
    line.description = "SIMD bit-packed spin annealer on one core a thread";
    line.usable = kernel.supported();
    if (!line.usable) {
      line.reason = "this machine lacks " + std::string(kernel.needs);
    } else if (&kernel == &best) {
      line.reason = "default: the fastest kernel that this machine runs";
    } else {
      line.reason = "needs " + std::string(kernel.needs);
    }
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace qama::hal::cpu
