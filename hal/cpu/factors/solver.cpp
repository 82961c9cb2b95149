// Solves problems of long heads in factor form (factors.h).
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "hal/base/aligned.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"
#include "hal/cpu/solvers.h"

namespace qama::hal::cpu {
namespace {

class FactorsSolver final : public CpuSolver {
 public:
  FactorsSolver(const Kernel& kernel, const Workload& workload) : CpuSolver(kernel, workload) {
    const ProblemShape& shape = workload.shape;
    const std::int32_t rank = workload.rank;
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

  std::size_t memory_bytes() const noexcept override {
    return (left_.size() + right_.size() + tail_.size() + inside_.size() + self_.size() +
            fields_.size() + scale_.size() + shift_.size() + z_.size() + counts_.size() +
            temperatures_.size()) *
               sizeof(float) +
           known_.size() * sizeof(std::uint16_t) + spins_.size() * sizeof(std::uint64_t) +
           answer_bytes();
  }

 private:
  Status anneal(const Problem& any, const SolveOptions& options, Clock::time_point start,
                SolveResult& result) override {
    const FactorsView& problem = *std::get_if<FactorsView>(&any);
    const Schedule& schedule = options.schedule;
    const std::size_t words = static_cast<std::size_t>(problem.shape.heads) *
                              static_cast<std::size_t>(words_per_head(problem.shape.tokens));
    layout_.tokens = problem.shape.tokens;
    layout_.tiles = (problem.shape.tokens + kTile - 1) / kTile;
    layout_.block_tiles = workload_.shape.heads > 1
                              ? layout_.tiles
                              : std::max(4, kBlockFloats / (kTile * layout_.stride));
    layout_.inside = workload_.shape.heads * layout_.tiles <= kKeptTiles ? inside_.data() : nullptr;
    layout_.unit_tiles = schedule.sweeps > 0 ? layout_.tiles : kUnitTiles;
    kernel_.load_factors(problem, layout_);
    QAMA_RETURN_IF_ERROR(check_finite(problem));
    if (static_cast<std::size_t>(schedule.sweeps) > temperatures_.size()) {
      temperatures_.resize(static_cast<std::size_t>(schedule.sweeps));
    }
    fill_float_temperatures(layout_.unit, schedule.t_start, schedule.t_end, schedule.sweeps,
                            temperatures_.data());
    const FactorsJob job{&layout_, temperatures_.data(), schedule.sweeps, options.seed};
    result.solved_by = solved_by(kernel_, Form::factors);
    for (std::int32_t restart = 0; restart < schedule.restarts; ++restart) {
      FactorsChain chain;
      chain.restart = restart;
      chain.spins = spins_.data();
      chain.z = z_.data();
      chain.counts = counts_.data();
      kernel_.anneal_factors(job, chain);
      result.proposals += chain.proposals;
      result.flips += chain.flips;
      result.restarts = restart + 1;
      if (restart == 0 || chain.energy < result.real_energy) {
        result.real_energy = chain.energy;
        std::memcpy(answer(), spins_.data(), words * sizeof(std::uint64_t));
      }
      if (options.deadline_us > 0) {
        if (cancelled_) break;
        const double spent = microseconds_since(start);
        if (spent + spent / (restart + 1) > static_cast<double>(options.deadline_us)) break;
      }
    }
    if (!std::isfinite(result.real_energy)) {
      return Error{
          ErrorCode::problem_bad_value,
          "a low-rank problem's energy is not finite: its factors or fields are too large"};
    }
    result.sweeps = counted(static_cast<std::int64_t>(result.restarts) * schedule.sweeps);
    return {};
  }

  // A factor that is not finite shows in its own token's product left_i . right_i, which the layout
  // holds: nothing of size N D is read again.
  Status check_finite(const FactorsView& problem) const {
    const std::size_t rows = static_cast<std::size_t>(layout_.tiles) * kTile;
    if (std::isfinite(problem.penalty) && std::isfinite(layout_.unit)) {
      // Without a branch a number, so that a compiler makes vectors of it. Behind the tokens there
      // are zeros.
      constexpr std::uint32_t kExponent = 0x7F800000;
      std::uint32_t bad = 0;
      for (std::size_t i = 0; i < static_cast<std::size_t>(layout_.heads) * rows; ++i) {
        bad |= (std::bit_cast<std::uint32_t>(layout_.self[i]) & kExponent) == kExponent ? 1U : 0U;
        bad |= (std::bit_cast<std::uint32_t>(layout_.fields[i]) & kExponent) == kExponent ? 1U : 0U;
      }
      if (bad == 0) return {};
    }
    return Error{
        ErrorCode::problem_bad_value,
        "a low-rank problem has a factor, shift, field or penalty that is not a finite number, or "
        "couplings whose squares are too large for a float"};
  }

  static constexpr std::size_t kInitialSweeps = 1024;

  FactorsLayout layout_;
  AlignedBuffer<float> left_, right_, tail_, inside_, self_, fields_, scale_, shift_, z_, counts_,
      temperatures_;
  AlignedBuffer<std::uint16_t> known_;
  AlignedBuffer<std::uint64_t> spins_;
};

}  // namespace

std::unique_ptr<Solver> make_factors_solver(const Kernel& kernel, const Workload& workload) {
  return std::make_unique<FactorsSolver>(kernel, workload);
}

}  // namespace qama::hal::cpu
