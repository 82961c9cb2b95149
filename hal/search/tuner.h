// The tuner: the cheapest schedule of the annealer that solves a set of problems well enough. Cost
// is counted in sweeps, never in time, so that a busy machine chooses what a quiet one does. What
// is tried is schedule_candidates(); to try more, add to it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hal/device.h"

namespace qama::hal {

/// One problem to tune on, as a view of the caller's memory, and the energy to measure against.
struct TuningProblem {
  DenseView problem;
  std::int64_t best = 0;  ///< best_known()
};

struct TuneOptions {
  double gap = 0.001;     ///< of the best known energy: a solve that ends within it has succeeded
  double share = 0.99;    ///< of solves that must succeed
  std::int32_t runs = 4;  ///< solves a layer, with seeds of their own
  std::uint64_t seed = 1;
};

/// A schedule, and how it does.
struct Tuned {
  Schedule schedule;
  double cost = 0;            ///< cost_of(options)
  double share = 0;           ///< of the solves of the layers that were tuned on
  double held_out_share = 0;  ///< of the solves of every fourth layer, which were not
  bool reached = false;       ///< share >= TuneOptions::share
};

/// Sweeps over a layer that a solve takes, one chain by itself counted as one: four chains in
/// lock-step take 2.9 times as long as one, descent as long as a sweep, and a round's chains anneal
/// half of the heads. Rounded measurements; what counts is that they never change.
[[nodiscard]] double cost_of(const Schedule& schedule) noexcept;

/// Every schedule that is worth trying on problems of so many heads, cheapest first.
[[nodiscard]] std::vector<Schedule> schedule_candidates(std::int32_t heads);

/// How a schedule does. All problems have the same number of heads. The device's errors.
[[nodiscard]] Result<Tuned> try_schedule(Device& device, std::span<const TuningProblem> problems,
                                         const Schedule& schedule, const TuneOptions& options);

/// The cheapest candidate that reaches the share; if none does, the one with the highest share
/// among the most expensive ones. INVALID_ARGUMENT if there are no problems.
[[nodiscard]] Result<Tuned> tune(Device& device, std::span<const TuningProblem> problems,
                                 const TuneOptions& options);

}  // namespace qama::hal
