// Solves problems of one head with few couplings a spin (sparse.h): restarts from new spins, or
// from given ones, which they improve (recombine.h).
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "hal/base/aligned.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"
#include "hal/cpu/solvers.h"
#include "hal/cpu/sparse/recombine.h"

namespace qama::hal::cpu {
namespace {

class SparseSolver final : public CpuSolver {
 public:
  SparseSolver(const Kernel& kernel, const Workload& workload) : CpuSolver(kernel, workload) {
    const std::int32_t spins = workload.shape.tokens;
    const std::size_t lanes = static_cast<std::size_t>(spins) * kSparseLanes;
    const auto words = static_cast<std::size_t>(words_per_head(spins));
    fields_.resize(lanes);
    selected_.resize(lanes);
    scratch_.resize(words);
    best_.resize(words);
    chains_.fields = fields_.data();
    chains_.selected = selected_.data();
    chains_.scratch = scratch_.data();
    chains_.spins = best_.data();
  }

 private:
  Status anneal(const Problem& any, const SolveOptions& options, Clock::time_point start,
                SolveResult& result) override {
    const SparseView& problem = *std::get_if<SparseView>(&any);
    const Schedule& schedule = options.schedule;
    if (schedule.rounds > 0) {
      return Error{ErrorCode::invalid_argument,
                   std::to_string(schedule.rounds) +
                       " rounds, expected 0: sparse problems know restarts only"};
    }
    const auto words = static_cast<std::size_t>(words_per_head(problem.spins));
    const bool improves = !options.from.empty();
    if (improves) {
      if (!best_so_far_) best_so_far_.emplace(workload_.shape.tokens);
      best_so_far_->load(problem, options.from.data());
    }
    if (static_cast<std::size_t>(schedule.sweeps) > temperatures_.size()) {
      temperatures_.resize(static_cast<std::size_t>(schedule.sweeps));
    }
    const double unit = problem.row_norm > 0 ? problem.row_norm : row_norm(problem);
    fill_temperatures(unit, schedule.t_start, schedule.t_end, schedule.sweeps,
                      temperatures_.data());
    Deadline deadline(start, options.deadline_us, cancelled_);
    AnnealJob job = job_of(options, temperatures_.data(), deadline);
    job.problem.shape = {1, problem.spins};
    job.problem.fields = problem.fields;
    result.solved_by = solved_by(kernel_, Form::sparse);
    while (result.restarts < schedule.restarts) {
      chains_.first = result.restarts;
      chains_.count = std::min(kSparseLanes, schedule.restarts - result.restarts);
      chains_.from = improves ? best_so_far_->spins() : nullptr;
      chains_.from_fields = improves ? best_so_far_->fields() : nullptr;
      deadline.start_group();
      kernel_.anneal_sparse(job, problem, chains_);
      result.proposals += chains_.proposals;
      result.flips += chains_.flips;
      result.restarts += chains_.count;
      if (improves) {
        best_so_far_->take(problem, chains_);
        ++result.rounds;
        if (deadline.no_time_for_another()) break;
        continue;
      }
      // The first of equals counts, so that the order of restarts decides and nothing else.
      const std::int64_t energy = chains_.energy[static_cast<std::size_t>(chains_.best)];
      if (chains_.first == 0 || energy < result.energy) {
        result.energy = energy;
        std::memcpy(answer(), best_.data(), words * sizeof(std::uint64_t));
      }
      if (deadline.no_time_for_another()) break;
    }
    if (improves) {
      result.energy = best_so_far_->energy();
      std::memcpy(answer(), best_so_far_->spins(), words * sizeof(std::uint64_t));
    }
    result.sweeps = counted(static_cast<std::int64_t>(result.restarts) * schedule.sweeps);
    result.real_energy = static_cast<double>(result.energy) / problem.scale + problem.offset;
    return {};
  }

  AlignedBuffer<std::int16_t> fields_, selected_;
  AlignedBuffer<std::uint64_t> scratch_, best_;
  AlignedBuffer<std::uint16_t> temperatures_;
  SparseChains chains_;
  std::optional<SparseBest> best_so_far_;  ///< made by the first job that has spins to improve
};

}  // namespace

std::unique_ptr<Solver> make_sparse_solver(const Kernel& kernel, const Workload& workload) {
  return std::make_unique<SparseSolver>(kernel, workload);
}

}  // namespace qama::hal::cpu
