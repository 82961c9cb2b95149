// Choosing sweeps, restarts and temperatures of a class by grid search on its tuning instances,
// which no reported figure uses. It minimises time to solution, which is a measured time.
// hal/search/tuner.h, which `qama tune` uses, counts sweeps for a given share of solves instead.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/targets.h"

namespace qama::bench {

/// Fills the lines "tts50", "tts99" and "fixed" of `name`: the least median time to solution over
/// `layers`, and the least time with which 99.4 % of all solves come within 0.1 %; where that does
/// not fit into `fixed_budget_us` (0: no bound), the largest share that does.
Status tune_layers(const std::string& name, const std::vector<Layer>& layers,
                   double fixed_budget_us, hal::Device& device, bool quick, ParameterTable& table);

/// Fills the line "target" of `name`: least mean time until a solve reaches `energy`.
Status tune_target(const std::string& name, const hal::DenseView& problem, std::int64_t energy,
                   hal::Device& device, bool quick, ParameterTable& table);

/// Fills the line "lowrank" of `name`: the least time of `run` (microseconds; it reports success)
/// with which half of the runs succeed.
struct TimedRun {
  double time_us = 0;
  bool success = false;
};
Status tune_factors(const std::string& name,
                    const std::function<Result<TimedRun>(const hal::Schedule&, int)>& run,
                    bool quick, ParameterTable& table);

}  // namespace qama::bench
