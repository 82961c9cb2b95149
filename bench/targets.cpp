#include "bench/targets.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <sstream>

#include "bench/textbook_sa.h"
#include "hal/search/best_known.h"

namespace qama::bench {

std::string text_of(const hal::Schedule& schedule) {
  char out[160];
  int length = std::snprintf(out, sizeof(out), "%d sweeps x %d, T %.3g..%.3g", schedule.sweeps,
                             schedule.restarts, schedule.t_start, schedule.t_end);
  if (schedule.rounds > 0) {
    std::snprintf(out + length, sizeof(out) - static_cast<std::size_t>(length),
                  ", then %d rounds of %d sweeps from T %.3g", schedule.rounds,
                  schedule.round_sweeps, schedule.t_round);
  }
  std::string all = out;
  if (schedule.start != hal::StartKind::guessed)
    all += ", " + std::string(hal::name_of(schedule.start)) + " starts";
  return all;
}

ParameterTable ParameterTable::read(const std::string& path) {
  ParameterTable out;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words(line);
    std::string name;
    std::string purpose;
    hal::Schedule p;
    if (words >> name >> purpose >> p.sweeps >> p.restarts >> p.t_start >> p.t_end) {
      // Absent in lines of before there were rounds.
      if (!(words >> p.rounds >> p.round_sweeps >> p.t_round)) p.rounds = 0;
      std::string start;
      if (words >> start) {
        const auto kind = hal::parse_start_kind(start);
        if (!kind.ok()) continue;
        p.start = *kind;
      }
      out.lines_[{name, purpose}] = p;
    }
  }
  return out;
}

hal::Schedule ParameterTable::get(std::string_view name, std::string_view purpose) const {
  const auto found = lines_.find({std::string(name), std::string(purpose)});
  return found != lines_.end() ? found->second : kUntuned;
}

void ParameterTable::set(std::string_view name, std::string_view purpose,
                         const hal::Schedule& parameters) {
  lines_[{std::string(name), std::string(purpose)}] = parameters;
}

bool ParameterTable::write(const std::string& path, std::string_view comment) const {
  std::ofstream stream(path);
  stream << "# class purpose sweeps restarts t_start t_end rounds round_sweeps t_round start\n# "
         << comment << '\n';
  for (const auto& [key, p] : lines_) {
    stream << key.first << '\t' << key.second << '\t' << p.sweeps << '\t' << p.restarts << '\t'
           << p.t_start << '\t' << p.t_end << '\t' << p.rounds << '\t' << p.round_sweeps << '\t'
           << p.t_round << '\t' << hal::name_of(p.start) << '\n';
  }
  return stream.flush().good();
}

BestKnown::BestKnown(std::string path) : path_(std::move(path)) {
  std::ifstream stream(path_);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line);
    std::string key;
    double energy = 0;
    if (words >> key >> energy) energies_[key] = energy;
  }
}

// The name says class and seed of a generated layer; recorded layers may share a name, their
// numbers do not.
std::string BestKnown::key(const hal::QamaLayer& problem) {
  Checksum numbers;
  for (const auto* values : {&problem.fields, &problem.factors}) {
    for (const double value : *values) numbers.add(std::llround(value * 1e6));
  }
  return problem.name + ":" + numbers.text();
}

Result<double> BestKnown::get(const hal::QamaLayer& problem, const hal::DenseView& integers,
                              hal::Device& device) {
  const std::string name = key(problem);
  const auto found = energies_.find(name);
  if (found != energies_.end()) return found->second;
  QAMA_ASSIGN_OR_RETURN(const hal::BestKnown best, hal::best_known(device, integers));
  return energies_[name] = hal::energy_of(problem, best.spins);
}

void BestKnown::improve(const hal::QamaLayer& problem, double energy) {
  double& known = energies_[key(problem)];
  // Not counted: the last digits, by the order of a sum.
  if (energy < known - 1e-9 * std::fabs(known)) {
    known = energy;
    ++improvements_;
  }
}

void BestKnown::save() const {
  std::ofstream stream(path_);
  stream.precision(17);
  for (const auto& [name, energy] : energies_) stream << name << '\t' << energy << '\n';
}

Result<Layer> make_layer(hal::QamaLayer real, BestKnown& best_known, hal::Device& device) {
  Layer out;
  hal::ProblemFile file;
  file.layer = std::move(real);
  QAMA_ASSIGN_OR_RETURN(out.build, hal::to_dense(file));
  out.real = std::move(file.layer);
  QAMA_ASSIGN_OR_RETURN(out.best, best_known.get(out.real, out.integers(), device));
  return out;
}

double Series::share_within(double gap) const {
  if (energies.empty()) return 0;
  const auto within = std::count_if(energies.begin(), energies.end(), [&](double energy) {
    return hal::is_within(energy, best, gap);
  });
  return static_cast<double>(within) / static_cast<double>(energies.size());
}

namespace {

double mean_single_flip_cost(const hal::QamaLayer& problem, std::vector<std::uint64_t> spins) {
  const double energy = hal::energy_of(problem, spins);
  const std::int32_t words = hal::words_per_head(problem.tokens);
  double sum = 0;
  for (std::int32_t t = 0; t < problem.heads; ++t) {
    for (std::int32_t i = 0; i < problem.tokens; ++i) {
      auto& word = spins[static_cast<std::size_t>(t * words + i / 64)];
      word ^= std::uint64_t{1} << (i % 64);
      sum += hal::energy_of(problem, spins) - energy;
      word ^= std::uint64_t{1} << (i % 64);
    }
  }
  return sum / (problem.heads * problem.tokens);
}

}  // namespace

Result<Series> solve_series(hal::Solver& solver, const Layer& layer,
                            const hal::Schedule& parameters, int count, std::uint64_t first_seed,
                            Checksum& checksum) {
  Series out;
  out.best = layer.best;
  const hal::ProblemShape shape = layer.integers().shape;
  std::vector<std::uint64_t> spins(
      static_cast<std::size_t>(shape.heads * hal::words_per_head(shape.tokens)));
  std::vector<std::uint64_t> best_spins;
  double lowest = HUGE_VAL;
  for (int k = -3; k < count; ++k) {
    const hal::SolveOptions options{parameters,
                                    first_seed + static_cast<std::uint64_t>(std::max(k, 0))};
    hal::SolveResult result;
    const double start = now_us();
    QAMA_RETURN_IF_ERROR(solver.solve(layer.integers(), options, spins, result));
    const double time = microseconds_since(start);
    if (k < 0) continue;
    checksum.add(result.energy);
    out.times_us.push_back(time);
    out.energies.push_back(hal::energy_of(layer.real, spins));
    if (out.energies.back() < lowest) {
      lowest = out.energies.back();
      best_spins = spins;
    }
  }
  out.best = std::min(out.best, lowest);
  if (!best_spins.empty() && layer.real.tokens <= 64) {
    out.mean_single_flip = mean_single_flip_cost(layer.real, best_spins);
  }
  return out;
}

Series textbook_series(const Layer& layer, const hal::Schedule& parameters, int count,
                       std::uint64_t first_seed) {
  Series out;
  out.best = layer.best;
  TextbookAnnealer annealer(layer.integers());
  for (int k = -1; k < count; ++k) {
    const hal::SolveOptions options{parameters,
                                    first_seed + static_cast<std::uint64_t>(std::max(k, 0))};
    const double start = now_us();
    const TextbookResult result = annealer.solve(options);
    const double time = microseconds_since(start);
    if (k < 0) continue;
    out.times_us.push_back(time);
    out.energies.push_back(hal::energy_of(layer.real, result.spins));
    out.best = std::min(out.best, out.energies.back());
  }
  return out;
}

}  // namespace qama::bench
