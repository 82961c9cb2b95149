#include "runtime/engine/steps/solve.h"

#include <algorithm>
#include <vector>

#include "hal/base/random.h"

namespace qama::runtime {
std::span<std::uint64_t> SolveStep::spins_of(const SampleRun& run) const noexcept {
  const hal::ProblemShape shape = hal::shape_of(run.problem);
  const std::size_t words = hal::words_per_head(shape.tokens);
  return {spins_.in(*run.lane), shape.heads * words};
}

Status SolveStep::run(SampleRun& run) const {
  LayerSolve& out = run.solves[layer_];
  out = {};
  const auto forced_layers = run.hooks->forced_spins;
  if (layer_ >= forced_layers.size() || forced_layers[layer_].empty()) return submit(run, out);
  force(run, forced_layers[layer_], out);
  return {};
}

void SolveStep::force(SampleRun& run, std::span<const std::uint8_t> layer, LayerSolve& out) const {
  const hal::ProblemShape shape = hal::shape_of(run.problem);
  const std::int64_t words = hal::words_per_head(shape.tokens);
  const std::span<std::uint64_t> spins = spins_of(run);
  const std::uint8_t* forced = layer.data() + run.sample * shape.heads * tokens_;
  std::fill(spins.begin(), spins.end(), 0);
  for (std::int64_t t = 0; t < shape.heads; ++t) {
    for (std::int64_t i = 0; i < shape.tokens; ++i) {
      const std::uint64_t bit = forced[t * tokens_ + i] != 0 ? 1 : 0;
      spins[static_cast<std::size_t>(t * words + i / 64)] |= bit << (i % 64);
    }
  }
  out.result.solved_by = "forced";
  const hal::Energy energy = hal::energy_of(run.problem, spins);
  out.result.energy = energy.integer;
  out.energy = out.result.real_energy = energy.real;
}

Status SolveStep::submit(SampleRun& run, LayerSolve& out) const {
  hal::SolveOptions options{run.settings->layers[layer_]};
  options.seed = out.seed = solve_seed(run.settings->seed, run.index, info.block);
  if (run.deadline_ns != 0) {
    // What is left is shared evenly by the blocks to come.
    const std::int64_t left_us = (run.deadline_ns - now_ns()) / 1000;
    options.deadline_us = std::max<std::int64_t>(left_us / (blocks_ - info.block), 1);
  }
  if (hal::form_of(run.problem) == hal::Form::factors) {
    // Only the local annealer takes factors: nothing to wait for.
    QAMA_RETURN_IF_ERROR(
        run.lane->factors_solver->solve(run.problem, options, spins_of(run), out.result));
    out.energy = out.result.real_energy;
    return {};
  }
  QAMA_RETURN_IF_ERROR(run.lane->solver->submit(run.lane->slot, run.problem, options));
  run.waiting = true;
  return {};
}

Status SolveStep::finish(SampleRun& run) const {
  LayerSolve& out = run.solves[layer_];
  QAMA_RETURN_IF_ERROR(run.lane->solver->wait(run.lane->slot, spins_of(run), out.result));
  const auto& problem = std::get<hal::DenseView>(run.problem);
  out.energy = static_cast<double>(out.result.energy) / problem.scale + problem.offset;
  return {};
}

void SelectionRecord::show(const SampleRun& run, const std::uint64_t* spins, const double* energies,
                           std::int64_t stride) const {
  const std::int64_t used = run.count * bits_;
  const std::int64_t all = tokens_ * bits_;
  const std::int64_t words = (used + 63) / 64;
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(heads_ * all));
  std::vector<double> values(static_cast<std::size_t>(heads_ * tokens_));
  for (std::int64_t t = 0; t < heads_; ++t) {
    for (std::int64_t i = 0; i < used; ++i) {
      bytes[static_cast<std::size_t>(t * all + i)] = spins[t * words + i / 64] >> (i % 64) & 1U;
    }
    std::copy_n(energies + t * stride, run.count,
                values.begin() + static_cast<std::ptrdiff_t>(t * tokens_));
  }
  run.hooks->recorder->spins(spins_name_, run.sample, bytes);
  run.hooks->recorder->energies(energies_name_, run.sample, values);
}

}  // namespace qama::runtime
