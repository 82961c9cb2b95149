#include "bench/tuning.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace qama::bench {
namespace {

/// Short restarts followed by rounds: for quality at a fixed time and for TTS99.
std::vector<hal::Schedule> grid_of_rounds() {
  std::vector<hal::Schedule> out;
  for (const std::int32_t restarts : {4, 8, 12}) {
    for (const std::int32_t sweeps : {8, 12, 20, 60}) {
      for (const std::int32_t rounds : {2, 4, 8, 12}) {
        for (const std::int32_t round_sweeps : {4, 6, 12}) {
          for (const float hot : {0.6F, 1.0F}) {
            out.push_back({.sweeps = sweeps,
                           .restarts = restarts,
                           .t_start = hot,
                           .t_end = 0.06F,
                           .rounds = rounds,
                           .round_sweeps = round_sweeps,
                           .t_round = hot});
          }
        }
      }
    }
  }
  return out;
}

/// How a parameter set did on every tuning layer.
struct Trial {
  hal::Schedule parameters;
  std::vector<double>
      times_us;  ///< a layer: the lower quartile, as other programs only ever add to a time
  std::vector<double> shares;  ///< within 0.1 %, a layer

  [[nodiscard]] double solution_time(double q) const {
    std::vector<double> out;
    for (std::size_t k = 0; k < shares.size(); ++k)
      out.push_back(time_to_solution(times_us[k], shares[k], q));
    return median(std::move(out));
  }
  /// Share of all solves that miss when each is repeated k times, if repetitions are independent.
  [[nodiscard]] double missed(int k) const {
    double sum = 0;
    for (const double p : shares) sum += std::pow(1 - p, k);
    return sum / static_cast<double>(shares.size());
  }
  /// Repetitions after which all but kFixedMiss succeed, but no more than fit into `budget_us` (0:
  /// any number).
  [[nodiscard]] int repetitions(double budget_us) const {
    if (parameters.rounds > 0) return 1;  // tried at their full length
    const int most =
        budget_us > 0 ? std::max(1, static_cast<int>(budget_us / median(times_us))) : 400;
    int k = 1;
    while (k < most && missed(k) > kFixedMiss) ++k;
    return k;
  }
  /// Lower is better: the time if it reaches the quality, else by how much it misses.
  [[nodiscard]] double fixed_cost(double budget_us) const {
    const int k = repetitions(budget_us);
    const double time = k * median(times_us);
    const bool late = budget_us > 0 && time > budget_us;
    return missed(k) <= kFixedMiss && !late ? time : 1e9 * (1 + missed(k) + (late ? 1 : 0));
  }
  static constexpr double kFixedMiss = 0.006;
};

Result<Trial> try_out(const hal::Schedule& parameters, const std::vector<Layer>& layers,
                      hal::Solver& solver, int solves) {
  Trial out;
  out.parameters = parameters;
  Checksum ignored;
  for (const Layer& layer : layers) {
    QAMA_ASSIGN_OR_RETURN(const Series series,
                          solve_series(solver, layer, parameters, solves, 7, ignored));
    out.times_us.push_back(quantile(series.times_us, 0.25));
    out.shares.push_back(series.share_within(kGap));
  }
  return out;
}

std::vector<hal::Schedule> grid(const std::vector<std::int32_t>& sweeps,
                                const std::vector<std::int32_t>& restarts) {
  std::vector<hal::Schedule> out;
  for (const std::int32_t s : sweeps) {
    for (const std::int32_t r : restarts) {
      for (const float hot : {0.15F, 0.3F, 0.6F, 1.2F, 2.0F}) {
        for (const float cold : {0.02F, 0.035F, 0.06F, 0.1F, 0.16F}) {
          if (cold < hot) out.push_back({s, r, hot, cold});
        }
      }
    }
  }
  return out;
}

}  // namespace

Status tune_layers(const std::string& name, const std::vector<Layer>& layers,
                   double fixed_budget_us, hal::Device& device, bool quick, ParameterTable& table) {
  QAMA_ASSIGN_OR_RETURN(const auto solver, device.compile(layers.front().integers().shape));
  std::vector<Trial> trials;
  std::vector<hal::Schedule> tried =
      grid(quick ? std::vector<std::int32_t>{5, 10, 20, 40, 80}
                 : std::vector<std::int32_t>{3, 5, 8, 12, 16, 20, 30, 40, 60, 80, 120},
           {1, 4});
  const std::vector<hal::Schedule> with_rounds = grid_of_rounds();
  tried.insert(tried.end(), with_rounds.begin(), with_rounds.end());
  // Each from the other starts, too.
  const std::size_t guessed = tried.size();
  for (std::size_t k = 0; k < guessed; ++k) {
    for (const hal::StartKind start : {hal::StartKind::random, hal::StartKind::mixed}) {
      if (start == hal::StartKind::mixed && tried[k].restarts < 4) continue;
      hal::Schedule other = tried[k];
      other.start = start;
      tried.push_back(other);
    }
  }
  for (const hal::Schedule& parameters : tried) {
    QAMA_ASSIGN_OR_RETURN(Trial trial, try_out(parameters, layers, *solver, quick ? 20 : 30));
    trials.push_back(std::move(trial));
  }
  // Noise favours the lucky: the best few of each purpose are measured again, on more solves.
  const auto choose = [&](const char* purpose, auto cost, bool groups_only) -> Result<Trial> {
    std::vector<Trial> candidates = trials;
    if (groups_only) {
      std::erase_if(candidates, [](const Trial& t) { return t.parameters.restarts < 4; });
    }
    std::sort(candidates.begin(), candidates.end(),
              [&](const Trial& a, const Trial& b) { return cost(a) < cost(b); });
    candidates.resize(std::min<std::size_t>(candidates.size(), 8));
    for (Trial& trial : candidates) {
      QAMA_ASSIGN_OR_RETURN(trial, try_out(trial.parameters, layers, *solver, quick ? 60 : 200));
    }
    Trial best =
        *std::min_element(candidates.begin(), candidates.end(),
                          [&](const Trial& a, const Trial& b) { return cost(a) < cost(b); });
    std::fprintf(stderr, "%s %s: %s: %s us a solve\n", name.c_str(), purpose,
                 text_of(best.parameters).c_str(), figure(median(best.times_us)).c_str());
    return best;
  };
  QAMA_ASSIGN_OR_RETURN(const Trial half,
                        choose(
                            "tts50", [](const Trial& t) { return t.solution_time(0.5); }, false));
  table.set(name, "tts50", half.parameters);
  QAMA_ASSIGN_OR_RETURN(const Trial most,
                        choose(
                            "tts99", [](const Trial& t) { return t.solution_time(0.99); }, false));
  table.set(name, "tts99", most.parameters);
  QAMA_ASSIGN_OR_RETURN(
      Trial fixed,
      choose(
          "fixed", [=](const Trial& t) { return t.fixed_cost(fixed_budget_us); }, true));
  fixed.parameters.restarts *= fixed.repetitions(fixed_budget_us);
  table.set(name, "fixed", fixed.parameters);
  return {};
}

Status tune_target(const std::string& name, const hal::DenseView& problem, std::int64_t energy,
                   hal::Device& device, bool quick, ParameterTable& table) {
  QAMA_ASSIGN_OR_RETURN(const auto solver, device.compile(problem.shape));
  std::vector<std::uint64_t> spins(
      static_cast<std::size_t>(problem.shape.heads * hal::words_per_head(problem.shape.tokens)));
  hal::Schedule best;
  double best_time = HUGE_VAL;
  for (const std::int32_t sweeps : {20, 50, 100, 200, 400, 800, 1600}) {
    for (const float hot : {0.2F, 0.4F, 0.7F}) {
      for (const float cold : {0.02F, 0.05F, 0.1F, 0.15F}) {
        const hal::Schedule parameters{sweeps, 4, hot, cold};
        double spent = 0;
        int hits = 0;
        // Until enough successes, or so much time that this set cannot win any more.
        for (std::uint64_t seed = 0; hits < (quick ? 3 : 12) && seed < 400; ++seed) {
          hal::SolveResult result;
          const double start = now_us();
          QAMA_RETURN_IF_ERROR(
              solver->solve(problem, hal::SolveOptions{parameters, seed}, spins, result));
          spent += microseconds_since(start);
          if (result.energy <= energy) ++hits;
          if (spent > 3 * best_time * (hits + 1) || spent > 3e6) break;
        }
        if (hits > 0 && spent / hits < best_time) {
          best_time = spent / hits;
          best = parameters;
        }
      }
    }
  }
  std::fprintf(stderr, "%s target: %s: %s us\n", name.c_str(), text_of(best).c_str(),
               figure(best_time).c_str());
  table.set(name, "target", best);
  return {};
}

Status tune_factors(const std::string& name,
                    const std::function<Result<TimedRun>(const hal::Schedule&, int)>& run,
                    bool quick, ParameterTable& table) {
  hal::Schedule best;
  double best_time = HUGE_VAL;
  const int runs = quick ? 10 : 60;
  for (const std::int32_t sweeps : {0, 1, 2, 3, 5, 8, 12, 20}) {
    for (const float hot : {0.1F, 0.2F, 0.3F}) {
      for (const float cold : {0.01F, 0.03F}) {
        const hal::Schedule parameters{sweeps, 1, hot, cold};
        std::vector<double> times;
        int hits = 0;
        for (int k = 0; k < runs; ++k) {
          QAMA_ASSIGN_OR_RETURN(const TimedRun one, run(parameters, k));
          times.push_back(one.time_us);
          hits += one.success ? 1 : 0;
        }
        const double time = quantile(times, 0.25);
        if (2 * hits >= runs && time < best_time) {
          best_time = time;
          best = parameters;
        }
      }
    }
  }
  std::fprintf(stderr, "%s lowrank: %s: %s us\n", name.c_str(), text_of(best).c_str(),
               figure(best_time).c_str());
  table.set(name, "lowrank", best);
  return {};
}

}  // namespace qama::bench
