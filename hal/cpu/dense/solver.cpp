// Solves selection problems with their couplings as matrices: restarts, rounds, recombined heads;
// few-valued problems of one head on bit planes.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>

#include "hal/base/aligned.h"
#include "hal/cpu/dense/recombine.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"
#include "hal/cpu/solvers.h"
#include "hal/form.h"

namespace qama::hal::cpu {
namespace {

class DenseSolver final : public CpuSolver {
 public:
  DenseSolver(const Kernel& kernel, const Workload& workload) : CpuSolver(kernel, workload) {
    const ProblemShape& shape = workload.shape;
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
    if (can_recombine(shape) && kernel.collect != nullptr) {
      pool_ = std::make_unique_for_overwrite<HeadPool>();
    }
  }

 private:
  Status anneal(const Problem& any, const SolveOptions& options, Clock::time_point start,
                SolveResult& result) override {
    const DenseView& problem = *std::get_if<DenseView>(&any);
    const Schedule& schedule = options.schedule;
    const auto longest = static_cast<std::size_t>(std::max(schedule.sweeps, schedule.round_sweeps));
    if (longest > temperatures_.size()) temperatures_.resize(longest);
    const double unit = problem.row_norm > 0 ? problem.row_norm : row_norm(problem);
    fill_temperatures(unit, schedule.t_start, schedule.t_end, schedule.sweeps,
                      temperatures_.data());
    Deadline deadline(start, options.deadline_us, cancelled_);
    AnnealJob job = job_of(options, temperatures_.data(), deadline);
    job.problem = problem;
    result_ = &result;
    groups_ = 0;
    sweeps_ = 0;
    const bool recombines = schedule.rounds > 0 && schedule.restarts >= kPoolRestarts &&
                            pool_ != nullptr && can_recombine(problem);
    if (recombines) {
      start_pool(*pool_, problem);
    }
    const bool planes = packs(problem, schedule);
    if (workload_.form == Form::planes && !planes) {
      return Error{ErrorCode::invalid_argument,
                   "form planes of a problem with rounds, of at most 64 spins or of more than " +
                       std::to_string(kPlaneValues) + " different couplings"};
    }
    result.solved_by = solved_by(kernel_, planes ? Form::planes : Form::dense);
    for (std::int32_t done = 0; done < schedule.restarts; done = result_->restarts) {
      const std::int32_t count = std::min(kMaxChains, schedule.restarts - done);
      for (std::int32_t c = 0; c < count; ++c) {
        chains_[c].restart = done + c;
        chains_[c].resume = false;
      }
      run_group(job, count, deadline, schedule.rounds > 0, planes, recombines);
      result_->restarts += count;
      if (deadline.no_time_for_another()) break;
    }
    if (schedule.rounds > 0) {
      fill_temperatures(unit, schedule.t_round, schedule.t_end, schedule.round_sweeps,
                        temperatures_.data());
      fill_temperatures(unit, schedule.t_end, schedule.t_end, kAdaptSweeps,
                        adapt_temperatures_.data());
      std::int32_t next = schedule.restarts;
      for (;;) {
        if (recombines && !deadline.no_time_for_another()) recombine(job, next, deadline);
        if (result_->rounds == schedule.rounds || deadline.no_time_for_another()) break;
        job.temperatures = temperatures_.data();
        job.reheated = reheated_heads(problem.shape.heads);
        job.sweeps = schedule.round_sweeps;
        for (Chain& chain : chains_) {
          chain.restart = next++;
          chain.resume = true;
          copy_state(problem.shape, best_, chain);
          random_heads(options.seed, chain.restart, problem.shape.heads, problem.shape.heads,
                       chain.order.data());
        }
        run_group(job, kMaxChains, deadline, true, false, recombines);
        ++result_->rounds;
      }
    }
    result.sweeps = counted(sweeps_);
    result.real_energy = static_cast<double>(result.energy) / problem.scale + problem.offset;
    std::memcpy(answer(), best_.spins, words_of(problem.shape) * sizeof(std::uint64_t));
    return {};
  }

  // Longer schedules than this grow the table once, at the first job that asks for it.
  static constexpr std::size_t kInitialSweeps = 1024;

  // Three of eight: of two, three, four and five, with the others at the last temperature, three
  // did best.
  static constexpr std::int32_t reheated_heads(std::int32_t heads) { return (3 * heads + 7) / 8; }

  static std::size_t words_of(const ProblemShape& shape) {
    return static_cast<std::size_t>(shape.heads) *
           static_cast<std::size_t>(words_per_head(shape.tokens));
  }

  static void copy_state(const ProblemShape& shape, const Chain& from, Chain& to) {
    const auto stride = static_cast<std::size_t>(row_stride(shape.tokens));
    std::memcpy(to.fields, from.fields,
                static_cast<std::size_t>(shape.heads) * stride * sizeof(std::int16_t));
    std::memcpy(to.counts, from.counts, stride * sizeof(std::int16_t));
    std::memcpy(to.spins, from.spins, words_of(shape) * sizeof(std::uint64_t));
  }

  // Combinations of the heads of all answers so far, which adapt to each other at the last
  // temperature.
  void recombine(AnnealJob& job, std::int32_t& next, Deadline& deadline) {
    pool_->limit = proposal_limit(result_->energy, pool_->shift, job.problem.penalty);
    const std::int32_t count = kernel_.search(*pool_, job.problem);
    job.temperatures = adapt_temperatures_.data();
    job.reheated = 0;
    job.sweeps = kAdaptSweeps;
    for (std::int32_t first = 0; first < count && !deadline.no_time_for_another();
         first += kMaxChains) {
      kernel_.assemble(*pool_, job.problem, first, chains_);
      for (Chain& chain : chains_) {
        chain.restart = next++;
        chain.resume = true;
      }
      run_group(job, kMaxChains, deadline, true, false, true);
    }
  }

  // Anneals the first `count` chains and keeps the best answer; the first of equals, so that the
  // order of restarts decides and nothing else. With `whole` its fields and counts are kept too,
  // with `collects` all answers' heads.
  void run_group(const AnnealJob& job, std::int32_t count, Deadline& deadline, bool whole,
                 bool planes, bool collects) {
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
      result_->proposals += chain.proposals;
      result_->flips += chain.flips;
      const bool first = groups_ == 0 && c == 0;
      if (!first && chain.energy >= result_->energy) continue;
      result_->energy = chain.energy;
      best = c;
    }
    ++groups_;
    sweeps_ += static_cast<std::int64_t>(count) * job.sweeps;
    if (collects) kernel_.collect(*pool_, job.problem, group, best);
    if (best < 0) return;
    if (whole) {
      copy_state(job.problem.shape, chains_[best], best_);
    } else {
      std::memcpy(best_.spins, chains_[best].spins,
                  words_of(job.problem.shape) * sizeof(std::uint64_t));
    }
  }

  // Whether the couplings are few-valued, so that bit planes do it (planes.h). A layer's couplings
  // show in their first row that they are not.
  bool packs(const DenseView& problem, const Schedule& schedule) {
    if (kernel_.pack_planes == nullptr || !planes_possible(problem.shape, schedule)) return false;
    if (plane_bits_.size() == 0) {
      // Once, at the first job that may need it: layers of long heads must not pay for it.
      if (!few_values_in_first_row(problem)) return false;
      plane_bits_.resize(plane_bits_words(workload_.shape.tokens));
      plane_own_.resize(plane_own_words(workload_.shape.tokens));
      counters_.resize(kMaxChains * plane_counter_words(workload_.shape.tokens));
      planes_.bits = plane_bits_.data();
      planes_.own = plane_own_.data();
    }
    return kernel_.pack_planes(problem, planes_);
  }

  static bool few_values_in_first_row(const DenseView& problem) {
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
  Chain best_;                     ///< state of the best answer
  SolveResult* result_ = nullptr;  ///< of the job at hand
  std::int32_t groups_ = 0;        ///< of restarts, of a job
  std::int64_t sweeps_ = 0;        ///< of a job, all groups
};

}  // namespace

std::unique_ptr<Solver> make_dense_solver(const Kernel& kernel, const Workload& workload) {
  return std::make_unique<DenseSolver>(kernel, workload);
}

}  // namespace qama::hal::cpu
