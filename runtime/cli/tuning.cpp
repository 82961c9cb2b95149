#include "runtime/cli/tuning.h"

#include <algorithm>
#include <cmath>

#include "hal/cpu/dense/recombine.h"
#include "runtime/engine/session.h"

namespace qama::cli {
namespace {

constexpr std::size_t kHeldOut = 4;  // every fourth layer
constexpr std::int32_t kGroup = 4;   // chains in lock-step

/// One shape's solver for layers of many sizes.
class Runner {
 public:
  static Result<Runner> create(hal::Device& device,
                               const std::vector<std::unique_ptr<RecordedLayer>>& layers) {
    hal::ProblemShape shape;
    for (const auto& layer : layers) {
      shape.heads = layer->problem.shape.heads;
      shape.tokens = std::max(shape.tokens, layer->problem.shape.tokens);
    }
    Runner out;
    QAMA_ASSIGN_OR_RETURN(out.solver_, device.compile(shape));
    out.spins_.resize(static_cast<std::size_t>(shape.heads) *
                      static_cast<std::size_t>(hal::words_per_head(shape.tokens)));
    return out;
  }
  Result<std::int64_t> energy(const RecordedLayer& layer, const hal::SolveOptions& options) {
    hal::SolveResult result;
    QAMA_RETURN_IF_ERROR(solver_->solve(layer.problem, options, spins_, result));
    return result.energy;
  }

 private:
  std::unique_ptr<hal::Solver> solver_;
  std::vector<std::uint64_t> spins_;
};

bool succeeds(std::int64_t energy, std::int64_t best, double gap) {
  return static_cast<double>(energy - best) <= gap * std::fabs(static_cast<double>(best));
}

/// Share of solves that succeed, of the layers that are (not) held out; gives up as soon as more
/// than `most_failures` have failed, with what is then left as an upper bound.
Result<double> share_of(Runner& runner, const std::vector<std::unique_ptr<RecordedLayer>>& layers,
                        bool held_out, const hal::Schedule& schedule, const TuneOptions& options,
                        std::int64_t most_failures) {
  std::int64_t total = 0;
  std::int64_t failures = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if ((i % kHeldOut == kHeldOut - 1) == held_out) total += options.runs;
  }
  for (std::int32_t run = 0; run < options.runs; ++run) {
    for (std::size_t i = 0; i < layers.size() && failures <= most_failures; ++i) {
      if ((i % kHeldOut == kHeldOut - 1) != held_out) continue;
      const hal::SolveOptions solve{schedule, solve_seed(options.seed, i, run)};
      QAMA_ASSIGN_OR_RETURN(const std::int64_t energy, runner.energy(*layers[i], solve));
      failures += succeeds(energy, layers[i]->best, options.gap) ? 0 : 1;
    }
  }
  return total > 0 ? 1.0 - static_cast<double>(failures) / static_cast<double>(total) : 0.0;
}

/// What is tried, cheapest first.
std::vector<hal::Schedule> candidates(std::int32_t heads) {
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
  std::vector<hal::Schedule> out;
  for (const Temperatures& t : kTemperatures) {
    for (const std::int32_t sweeps : kSweeps) {
      for (const std::int32_t restarts : kRestarts) {
        hal::Schedule options;
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
            hal::Schedule options;
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
    for (const hal::StartKind start : {hal::StartKind::random, hal::StartKind::mixed}) {
      if (start == hal::StartKind::mixed && out[i].restarts < kGroup) continue;
      out.push_back(out[i]);
      out.back().start = start;
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const hal::Schedule& a, const hal::Schedule& b) {
    return cost_of(a) < cost_of(b);
  });
  return out;
}

}  // namespace

void LayerCollector::problem(const runtime::LayerProblem& layer) {
  auto& block = layers[static_cast<std::size_t>(layer.layer)];
  if (block.size() >= most_) return;
  auto& out = *block.emplace_back(std::make_unique<RecordedLayer>());
  const hal::DenseView& from = *layer.problem;
  const auto heads = static_cast<std::size_t>(from.shape.heads);
  const auto stride = static_cast<std::size_t>(hal::row_stride(from.shape.tokens));
  out.couplings.resize(heads * static_cast<std::size_t>(from.shape.tokens) * stride);
  std::copy_n(from.couplings, out.couplings.size(), out.couplings.data());
  out.fields.resize(heads * stride);
  std::copy_n(from.fields, out.fields.size(), out.fields.data());
  out.problem = from;
  out.problem.couplings = out.couplings.data();
  out.problem.fields = out.fields.data();
}

double cost_of(const hal::Schedule& options) noexcept {
  constexpr double kDescent = 1;
  constexpr double kFirstChain = 1;
  constexpr double kFurtherChain = 1.9 / 3;
  // hal/cpu/dense/recombine.h, 6 us of a solve whose sweep of one chain takes 0.45: search,
  // collecting, adapting four; twice that on hard layers, where more combinations are found.
  constexpr double kRecombining = 13;
  const auto group = [](std::int32_t chains) { return kFirstChain + kFurtherChain * (chains - 1); };
  const std::int32_t left = options.restarts % kGroup;
  const double starts = options.restarts / kGroup * group(kGroup) + (left > 0 ? group(left) : 0);
  const double recombined = options.rounds > 0 && options.restarts >= hal::cpu::kPoolRestarts
                                ? (options.rounds + 1) * kRecombining
                                : 0;
  return starts * (options.sweeps + kDescent) +
         options.rounds * group(kGroup) * (0.5 * options.round_sweeps + kDescent) + recombined;
}

Status find_best(hal::Device& device, std::vector<std::unique_ptr<RecordedLayer>>& layers,
                 std::uint64_t seed) {
  QAMA_ASSIGN_OR_RETURN(Runner runner, Runner::create(device, layers));
  hal::SolveOptions slow{{.sweeps = 200, .restarts = 16, .t_end = 0.05}};
  hal::SolveOptions many{{.sweeps = 20, .restarts = 64, .t_end = 0.08}};
  // Rounds stir some of the heads.
  many.schedule.rounds = !layers.empty() && layers[0]->problem.shape.heads > 1 ? 100 : 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    slow.seed = many.seed = solve_seed(seed, i, -1);
    QAMA_ASSIGN_OR_RETURN(const std::int64_t first, runner.energy(*layers[i], slow));
    QAMA_ASSIGN_OR_RETURN(const std::int64_t second, runner.energy(*layers[i], many));
    layers[i]->best = std::min(first, second);
  }
  return {};
}

Result<Tuned> try_schedule(hal::Device& device,
                           const std::vector<std::unique_ptr<RecordedLayer>>& layers,
                           const hal::Schedule& schedule, const TuneOptions& options) {
  QAMA_ASSIGN_OR_RETURN(Runner runner, Runner::create(device, layers));
  Tuned out;
  out.schedule = schedule;
  out.cost = cost_of(schedule);
  QAMA_ASSIGN_OR_RETURN(out.share, share_of(runner, layers, false, schedule, options, INT64_MAX));
  QAMA_ASSIGN_OR_RETURN(out.held_out_share,
                        share_of(runner, layers, true, schedule, options, INT64_MAX));
  out.reached = out.share >= options.share;
  return out;
}

Result<Tuned> tune(hal::Device& device, const std::vector<std::unique_ptr<RecordedLayer>>& layers,
                   const TuneOptions& options) {
  if (layers.empty()) return Error{ErrorCode::invalid_argument, "no layers to tune on"};
  QAMA_ASSIGN_OR_RETURN(Runner runner, Runner::create(device, layers));
  const std::size_t tuned_on = layers.size() - layers.size() / kHeldOut;
  const double solves = static_cast<double>(tuned_on) * options.runs;
  const auto most_failures = static_cast<std::int64_t>((1 - options.share) * solves + 1e-9);
  const std::vector<hal::Schedule> all = candidates(layers[0]->problem.shape.heads);
  const hal::Schedule* found = nullptr;
  for (const hal::Schedule& candidate : all) {
    QAMA_ASSIGN_OR_RETURN(const double share,
                          share_of(runner, layers, false, candidate, options, most_failures));
    if (share >= options.share) {
      found = &candidate;
      break;
    }
  }
  if (found != nullptr) return try_schedule(device, layers, *found, options);
  // Nothing is enough: the best of the most expensive ones is.
  Tuned best;
  constexpr std::size_t kLast = 20;
  for (std::size_t i = all.size() > kLast ? all.size() - kLast : 0; i < all.size(); ++i) {
    QAMA_ASSIGN_OR_RETURN(const Tuned tried, try_schedule(device, layers, all[i], options));
    if (best.cost == 0 || tried.share > best.share) best = tried;
  }
  return best;
}

}  // namespace qama::cli
