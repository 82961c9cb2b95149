#include "hal/search/tuner.h"

#include <algorithm>
#include <memory>

#include "hal/base/random.h"
#include "hal/search/best_known.h"

namespace qama::hal {
namespace {

constexpr std::size_t kHeldOut = 4;  // every fourth problem
constexpr std::int32_t kGroup = 4;   // chains in lock-step
/// Restarts from which heads of all answers are recombined (Schedule::rounds).
constexpr std::int32_t kRecombinedRestarts = 8;

/// One shape's solver for problems of many sizes.
class Runner {
 public:
  static Result<Runner> create(Device& device, std::span<const TuningProblem> problems) {
    ProblemShape shape;
    for (const TuningProblem& one : problems) {
      shape.heads = one.problem.shape.heads;
      shape.tokens = std::max(shape.tokens, one.problem.shape.tokens);
    }
    Runner out;
    QAMA_ASSIGN_OR_RETURN(out.solver_, device.compile(shape));
    out.spins_.resize(static_cast<std::size_t>(shape.heads) *
                      static_cast<std::size_t>(words_per_head(shape.tokens)));
    return out;
  }
  Result<std::int64_t> energy(const TuningProblem& one, const SolveOptions& options) {
    SolveResult result;
    QAMA_RETURN_IF_ERROR(solver_->solve(one.problem, options, spins_, result));
    return result.energy;
  }

 private:
  std::unique_ptr<Solver> solver_;
  std::vector<std::uint64_t> spins_;
};

/// Share of solves that succeed, of the problems that are (not) held out; gives up as soon as more
/// than `most_failures` have failed, with what is then left as an upper bound.
Result<double> share_of(Runner& runner, std::span<const TuningProblem> problems, bool held_out,
                        const Schedule& schedule, const TuneOptions& options,
                        std::int64_t most_failures) {
  std::int64_t total = 0;
  std::int64_t failures = 0;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    if ((i % kHeldOut == kHeldOut - 1) == held_out) total += options.runs;
  }
  for (std::int32_t run = 0; run < options.runs; ++run) {
    for (std::size_t i = 0; i < problems.size() && failures <= most_failures; ++i) {
      if ((i % kHeldOut == kHeldOut - 1) != held_out) continue;
      const SolveOptions solve{schedule, solve_seed(options.seed, i, run)};
      QAMA_ASSIGN_OR_RETURN(const std::int64_t energy, runner.energy(problems[i], solve));
      failures +=
          is_within(static_cast<double>(energy), static_cast<double>(problems[i].best), options.gap)
              ? 0
              : 1;
    }
  }
  return total > 0 ? 1.0 - static_cast<double>(failures) / static_cast<double>(total) : 0.0;
}

}  // namespace

std::vector<Schedule> schedule_candidates(std::int32_t heads) {
  struct Temperatures {
    double start, end;
  };
  constexpr Temperatures kTemperatures[] = {{1.2, 0.1}, {1.2, 0.08}, {0.8, 0.08}, {0.5, 0.05}};
  constexpr std::int32_t kSweeps[] = {0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 30, 40};
  constexpr std::int32_t kRestarts[] = {1, 2, 4, 8, 12, 16, 24, 32, 48, 64};
  constexpr std::int32_t kSweepsBeforeRounds[] = {2, 3, 5, 8, 12, 20};
  constexpr std::int32_t kRestartsBeforeRounds[] = {4, 8, 12, 16};
  constexpr std::int32_t kRounds[] = {2, 4, 6, 9, 12, 16, 24};
  constexpr std::int32_t kRoundSweeps[] = {3, 5, 8};
  std::vector<Schedule> out;
  for (const Temperatures& t : kTemperatures) {
    for (const std::int32_t sweeps : kSweeps) {
      for (const std::int32_t restarts : kRestarts) {
        Schedule options;
        options.sweeps = sweeps;
        options.restarts = restarts;
        options.t_start = t.start;
        options.t_end = t.end;
        if (sweeps == 0 && t.start != kTemperatures[0].start)
          continue;  // descent knows no temperature
        out.push_back(options);
      }
    }
  }
  // Rounds stir some of the heads, so that there must be several; they start from what is annealed
  // from hot.
  for (const Temperatures& t : {kTemperatures[0], kTemperatures[1]}) {
    for (const std::int32_t sweeps : kSweepsBeforeRounds) {
      for (const std::int32_t restarts : kRestartsBeforeRounds) {
        for (const std::int32_t rounds : kRounds) {
          for (const std::int32_t round_sweeps : kRoundSweeps) {
            if (heads < 2) continue;
            Schedule options;
            options.sweeps = sweeps;
            options.restarts = restarts;
            options.t_start = t.start;
            options.t_end = t.end;
            options.rounds = rounds;
            options.round_sweeps = round_sweeps;
            options.t_round = 1.0;
            out.push_back(options);
          }
        }
      }
    }
  }
  // Each with the other starts, too; descent alone has no start to choose.
  const std::size_t guessed = out.size();
  for (std::size_t i = 0; i < guessed; ++i) {
    if (heads < 2 || out[i].sweeps == 0) continue;
    for (const StartKind start : {StartKind::random, StartKind::mixed}) {
      if (start == StartKind::mixed && out[i].restarts < kGroup) continue;
      out.push_back(out[i]);
      out.back().start = start;
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Schedule& a, const Schedule& b) { return cost_of(a) < cost_of(b); });
  return out;
}

double cost_of(const Schedule& options) noexcept {
  constexpr double kDescent = 1;
  constexpr double kFirstChain = 1;
  constexpr double kFurtherChain = 1.9 / 3;
  // hal/cpu/dense/recombine.h, 6 us of a solve whose sweep of one chain takes 0.45: search,
  // collecting, adapting four; twice that on hard problems, where more combinations are found.
  constexpr double kRecombining = 13;
  const auto group = [](std::int32_t chains) { return kFirstChain + kFurtherChain * (chains - 1); };
  const std::int32_t left = options.restarts % kGroup;
  const double starts = options.restarts / kGroup * group(kGroup) + (left > 0 ? group(left) : 0);
  const double recombined = options.rounds > 0 && options.restarts >= kRecombinedRestarts
                                ? (options.rounds + 1) * kRecombining
                                : 0;
  return starts * (options.sweeps + kDescent) +
         options.rounds * group(kGroup) * (0.5 * options.round_sweeps + kDescent) + recombined;
}

Result<Tuned> try_schedule(Device& device, std::span<const TuningProblem> problems,
                           const Schedule& schedule, const TuneOptions& options) {
  QAMA_ASSIGN_OR_RETURN(Runner runner, Runner::create(device, problems));
  Tuned out;
  out.schedule = schedule;
  out.cost = cost_of(schedule);
  QAMA_ASSIGN_OR_RETURN(out.share, share_of(runner, problems, false, schedule, options, INT64_MAX));
  QAMA_ASSIGN_OR_RETURN(out.held_out_share,
                        share_of(runner, problems, true, schedule, options, INT64_MAX));
  out.reached = out.share >= options.share;
  return out;
}

Result<Tuned> tune(Device& device, std::span<const TuningProblem> problems,
                   const TuneOptions& options) {
  if (problems.empty()) return Error{ErrorCode::invalid_argument, "no problems to tune on"};
  QAMA_ASSIGN_OR_RETURN(Runner runner, Runner::create(device, problems));
  const std::size_t tuned_on = problems.size() - problems.size() / kHeldOut;
  const double solves = static_cast<double>(tuned_on) * options.runs;
  const auto most_failures = static_cast<std::int64_t>((1 - options.share) * solves + 1e-9);
  const std::vector<Schedule> all = schedule_candidates(problems[0].problem.shape.heads);
  const Schedule* found = nullptr;
  for (const Schedule& candidate : all) {
    QAMA_ASSIGN_OR_RETURN(const double share,
                          share_of(runner, problems, false, candidate, options, most_failures));
    if (share >= options.share) {
      found = &candidate;
      break;
    }
  }
  if (found != nullptr) return try_schedule(device, problems, *found, options);
  // Nothing is enough: the best of the most expensive ones is.
  Tuned best;
  constexpr std::size_t kLast = 20;
  for (std::size_t i = all.size() > kLast ? all.size() - kLast : 0; i < all.size(); ++i) {
    QAMA_ASSIGN_OR_RETURN(const Tuned tried, try_schedule(device, problems, all[i], options));
    if (best.cost == 0 || tried.share > best.share) best = tried;
  }
  return best;
}

}  // namespace qama::hal
