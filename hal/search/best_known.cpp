#include "hal/search/best_known.h"

#include <cmath>

#include "hal/base/random.h"

namespace qama::hal {
namespace {

/// The long runs of one repetition. A layer of strongly correlated heads freezes in schedules by
/// which independent tokens are best annealed, and the other way round.
constexpr Schedule kLongRuns[] = {
    {.sweeps = 200, .restarts = 16, .t_end = 0.05},
    {.sweeps = 1000, .restarts = 4, .t_start = 0.35, .t_end = 0.025},
    {.sweeps = 20, .restarts = 64, .t_end = 0.08, .rounds = 100},
};
/// Repetitions without a lower energy that end the search, and repetitions at most.
constexpr int kPatience = 2;
constexpr int kMostRepetitions = 20;

}  // namespace

Result<BestKnown> best_known(Device& device, const DenseView& problem, std::uint64_t seed) {
  BestKnown out;
  out.spins.resize(static_cast<std::size_t>(problem.shape.heads) *
                   static_cast<std::size_t>(words_per_head(problem.shape.tokens)));
  SolveResult result;
  if (problem.shape.spins() <= kExactSpins) {
    QAMA_ASSIGN_OR_RETURN(const auto exact, open_device("exact:"));
    QAMA_ASSIGN_OR_RETURN(const auto solver, exact->compile(problem.shape));
    QAMA_RETURN_IF_ERROR(solver->solve(problem, {}, out.spins, result));
    out.energy = result.energy;
    out.proven = true;
    return out;
  }
  QAMA_ASSIGN_OR_RETURN(const auto solver, device.compile(problem.shape));
  std::vector<std::uint64_t> spins(out.spins.size());
  int in_vain = 0;
  for (int repetition = 0; repetition < kMostRepetitions && in_vain < kPatience; ++repetition) {
    ++in_vain;
    for (const Schedule& schedule : kLongRuns) {
      SolveOptions options{schedule, solve_seed(seed, static_cast<std::uint64_t>(repetition), -1)};
      // Rounds stir some of the heads.
      if (problem.shape.heads < 2) options.schedule.rounds = 0;
      QAMA_RETURN_IF_ERROR(solver->solve(problem, options, spins, result));
      if (result.energy >= out.energy) continue;
      out.energy = result.energy;
      out.spins = spins;
      in_vain = 0;
    }
  }
  return out;
}

bool is_within(double energy, double best, double gap) noexcept {
  return energy - best <= gap * std::fabs(best);
}

}  // namespace qama::hal
