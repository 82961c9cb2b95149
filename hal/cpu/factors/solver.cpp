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

class CpuFactorsSolver final : public FactorsSolver {
 public:
  CpuFactorsSolver(const Kernel& kernel, const ProblemShape& shape, std::int32_t rank,
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

  Status solve(const FactorsView& problem, const SolveOptions& options,
               std::span<std::uint64_t> spins, SolveResult& result) override {
    if (problem.shape.heads != shape_.heads || problem.rank != rank_ || problem.shape.tokens < 1 ||
        problem.shape.tokens > shape_.tokens) {
      return Error{ErrorCode::invalid_argument,
                   "a low-rank problem of " + std::to_string(problem.shape.heads) + " x " +
                       std::to_string(problem.shape.tokens) + " spins, rank " +
                       std::to_string(problem.rank) + ", expected " + std::to_string(shape_.heads) +
                       " x 1 to " + std::to_string(shape_.tokens) + ", rank " +
                       std::to_string(rank_)};
    }
    QAMA_RETURN_IF_ERROR(validate(options.schedule));
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
    layout_.unit_tiles = options.schedule.sweeps > 0 ? layout_.tiles : kUnitTiles;
    kernel_.load_factors(problem, layout_);
    QAMA_RETURN_IF_ERROR(check_finite(problem));
    if (static_cast<std::size_t>(options.schedule.sweeps) > temperatures_.size()) {
      temperatures_.resize(static_cast<std::size_t>(options.schedule.sweeps));
    }
    fill_float_temperatures(layout_.unit, options.schedule.t_start, options.schedule.t_end,
                            options.schedule.sweeps, temperatures_.data());
    const FactorsJob job{&layout_, temperatures_.data(), options.schedule.sweeps, options.seed};
    result = SolveResult{};
    result.solved_by = solved_by_;
    for (std::int32_t restart = 0; restart < options.schedule.restarts; ++restart) {
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
        std::memcpy(best_.data(), spins_.data(), words * sizeof(std::uint64_t));
      }
      if (options.deadline_us > 0) {
        const double spent = microseconds_since(start);
        if (spent + spent / (restart + 1) > static_cast<double>(options.deadline_us)) break;
      }
    }
    if (!std::isfinite(result.real_energy)) {
      return Error{
          ErrorCode::problem_bad_value,
          "a low-rank problem's energy is not finite: its factors or fields are too large"};
    }
    result.sweeps = counted(static_cast<std::int64_t>(result.restarts) * options.schedule.sweeps);
    std::memcpy(spins.data(), best_.data(), words * sizeof(std::uint64_t));
    result.timing.anneal_us = microseconds_since(start);
    result.timing.total_us = result.timing.anneal_us;
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
  FactorsLayout layout_;
  AlignedBuffer<float> left_, right_, tail_, inside_, self_, fields_, scale_, shift_, z_, counts_,
      temperatures_;
  AlignedBuffer<std::uint16_t> known_;
  AlignedBuffer<std::uint64_t> spins_, best_;
};

}  // namespace

std::unique_ptr<FactorsSolver> make_factors_solver(const Kernel& kernel, const ProblemShape& shape,
                                                   std::int32_t rank) {
  return std::make_unique<CpuFactorsSolver>(kernel, shape, rank, names_of(kernel.name).plain);
}

}  // namespace qama::hal::cpu
