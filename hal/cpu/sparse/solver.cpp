// Solves problems of one head with few couplings a spin (sparse.h): restarts only.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "hal/base/aligned.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"
#include "hal/cpu/solvers.h"

namespace qama::hal::cpu {
namespace {

class CpuSparseSolver final : public SparseSolver {
 public:
  CpuSparseSolver(const Kernel& kernel, std::int32_t spins, const char* solved_by)
      : kernel_(kernel), spins_(spins), solved_by_(solved_by) {
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

  Status solve(const SparseView& problem, const SolveOptions& options,
               std::span<std::uint64_t> spins, SolveResult& result) override {
    QAMA_RETURN_IF_ERROR(check(problem, options));
    const auto words = static_cast<std::size_t>(words_per_head(problem.spins));
    if (spins.size() < words) {
      return Error{ErrorCode::invalid_argument, "room for " + std::to_string(spins.size()) +
                                                    " words of spins, expected " +
                                                    std::to_string(words)};
    }
    const auto start = Clock::now();
    if (static_cast<std::size_t>(options.schedule.sweeps) > temperatures_.size()) {
      temperatures_.resize(static_cast<std::size_t>(options.schedule.sweeps));
    }
    const double unit = problem.row_norm > 0 ? problem.row_norm : row_norm(problem);
    fill_temperatures(unit, options.schedule.t_start, options.schedule.t_end,
                      options.schedule.sweeps, temperatures_.data());
    Deadline deadline(start, options.deadline_us);
    AnnealJob job = job_of(options, temperatures_.data(), deadline);
    job.problem.shape = {1, problem.spins};
    job.problem.fields = problem.fields;
    result = SolveResult{};
    result.solved_by = solved_by_;
    while (result.restarts < options.schedule.restarts) {
      chains_.first = result.restarts;
      chains_.count = std::min(kSparseLanes, options.schedule.restarts - result.restarts);
      deadline.start_group();
      kernel_.anneal_sparse(job, problem, chains_);
      result.proposals += chains_.proposals;
      result.flips += chains_.flips;
      // The first of equals counts, so that the order of restarts decides and nothing else.
      const std::int64_t energy = chains_.energy[static_cast<std::size_t>(chains_.best)];
      if (result.restarts == 0 || energy < result.energy) {
        result.energy = energy;
        std::memcpy(spins.data(), best_.data(), words * sizeof(std::uint64_t));
      }
      result.restarts += chains_.count;
      if (deadline.no_time_for_another()) break;
    }
    result.sweeps = counted(static_cast<std::int64_t>(result.restarts) * options.schedule.sweeps);
    result.real_energy = static_cast<double>(result.energy) / problem.scale + problem.offset;
    result.timing.anneal_us = microseconds_since(start);
    result.timing.total_us = result.timing.anneal_us;
    return {};
  }

 private:
  Status check(const SparseView& problem, const SolveOptions& options) const {
    if (problem.spins < 1 || problem.spins > spins_) {
      return Error{ErrorCode::invalid_argument,
                   "a sparse problem of " + std::to_string(problem.spins) +
                       " spins, expected 1 to " + std::to_string(spins_)};
    }
    if (options.schedule.rounds > 0) {
      return Error{ErrorCode::invalid_argument,
                   std::to_string(options.schedule.rounds) +
                       " rounds, expected 0: sparse problems know restarts only"};
    }
    return validate(options.schedule);
  }

  const Kernel& kernel_;
  const std::int32_t spins_;
  const char* const solved_by_;
  AlignedBuffer<std::int16_t> fields_, selected_;
  AlignedBuffer<std::uint64_t> scratch_, best_;
  AlignedBuffer<std::uint16_t> temperatures_;
  SparseChains chains_;
};

}  // namespace

std::unique_ptr<SparseSolver> make_sparse_solver(const Kernel& kernel, std::int32_t spins) {
  return std::make_unique<CpuSparseSolver>(kernel, spins, names_of(kernel.name).sparse);
}

}  // namespace qama::hal::cpu
