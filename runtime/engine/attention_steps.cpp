#include "runtime/engine/attention_steps.h"

#include <algorithm>
#include <cstring>

namespace qama::runtime {

ops::QamaWorkspace QamaRegions::in(const Lane& lane) const noexcept {
  ops::QamaWorkspace w;
  w.factors = lane.at<float>(factors);
  w.fields = lane.at<double>(fields);
  w.coupling_scale = lane.at<double>(coefficients);
  w.coupling_shift = lane.at<double>(coefficients) + heads;
  w.weights = lane.at<std::int16_t>(weights);
  w.biases = lane.at<std::int16_t>(biases);
  w.couplings = lane.at<float>(couplings);
  w.scratch = lane.at<double>(scratch);
  w.spins = lane.at<std::uint64_t>(spins);
  w.energies = lane.at<double>(energies);
  w.project = lane.at<double>(project);
  return w;
}

Status SoftmaxStep::run(SampleRun& run) const {
  const std::int64_t inner = op_.heads * op_.dim_head;
  auto* out = run.lane->at<float>(out_);
  op_.run(run.count, run.lane->at<float>(qkv_), out, run.lane->at<float>(scratch_));
  std::fill(out + run.count * inner, out + run.rows * inner, 0.0F);
  return {};
}

Status MixingStep::run(SampleRun& run) const {
  const std::int64_t inner = op_->shape().inner();
  auto* out = run.lane->at<float>(out_);
  op_->run(run.count, run.lane->at<float>(qkv_), out, run.lane->at<float>(scratch_));
  std::fill(out + run.count * inner, out + run.rows * inner, 0.0F);
  return {};
}

ops::QamaFactorsWorkspace QamaFactorsRegions::in(const Lane& lane) const noexcept {
  return {.factors = lane.at<float>(factors),
          .fields = lane.at<float>(fields),
          .constants = lane.at<float>(constants),
          .scratch = lane.at<double>(scratch)};
}

Status QamaProblemStep::run(SampleRun& run) const {
  const ops::QamaWorkspace w = regions_.in(*run.lane);
  const auto* qkh = run.lane->at<float>(qkh_);
  run.on_factors = factors_regions_.has_value() && run.count >= factors_regions_->from;
  if (run.on_factors) {
    ops::qama_factors_front(op_->front_spec(), run.count, qkh, w, factors_regions_->in(*run.lane),
                            op_->kernels(), run.factors_problem);
    return {};
  }
  QAMA_RETURN_IF_ERROR(op_->front(run.count, qkh, w, run.problem));
  if (run.hooks->problems != nullptr) show(run, w);
  return {};
}

void QamaProblemStep::show(const SampleRun& run, const ops::QamaWorkspace& w) const {
  const ops::QamaFrontSpec& spec = op_->front_spec();
  const auto heads = static_cast<std::size_t>(spec.heads);
  const auto stride = static_cast<std::size_t>(ops::token_stride(run.count));
  run.hooks->problems->problem(
      {.layer = layer_,
       .sample = run.sample,
       .index = run.index,
       .seed = solve_seed(run.settings->seed, run.index, layer_),
       .problem = &run.problem,
       .heads = static_cast<std::int32_t>(spec.heads),
       .tokens = static_cast<std::int32_t>(run.count),
       .dim_head = static_cast<std::int32_t>(spec.dim_head),
       .stride = static_cast<std::int64_t>(stride),
       .factors = {w.factors, heads * static_cast<std::size_t>(spec.dim_head) * stride},
       .fields = {w.fields, heads * stride},
       .coupling_scale = {w.coupling_scale, heads},
       .coupling_shift = {w.coupling_shift, heads},
       .rho = spec.rho(run.count),
       .lambda = spec.lambda(run.count)});
}

namespace {

const hal::ProblemShape& shape_of(const SampleRun& run) noexcept {
  return run.on_factors ? run.factors_problem.shape : run.problem.shape;
}

}  // namespace

std::span<std::uint64_t> QamaSolveStep::spins_of(const SampleRun& run) const noexcept {
  const hal::ProblemShape& shape = shape_of(run);
  const auto words = static_cast<std::size_t>(hal::words_per_head(shape.tokens));
  return {run.lane->at<std::uint64_t>(spins_), static_cast<std::size_t>(shape.heads) * words};
}

Status QamaSolveStep::run(SampleRun& run) const {
  LayerSolve& out = run.solves[layer_];
  out = {};
  const auto forced_layers = run.hooks->forced_spins;
  const auto layer = static_cast<std::size_t>(layer_);
  if (layer >= forced_layers.size() || forced_layers[layer].empty()) return submit(run, out);
  force(run, forced_layers[layer], out);
  return {};
}

void QamaSolveStep::force(SampleRun& run, std::span<const std::uint8_t> layer,
                          LayerSolve& out) const {
  const hal::ProblemShape& shape = shape_of(run);
  const auto heads = static_cast<std::size_t>(shape.heads);
  const auto words = static_cast<std::size_t>(hal::words_per_head(shape.tokens));
  const std::span<std::uint64_t> spins = spins_of(run);
  const std::uint8_t* forced = layer.data() + static_cast<std::size_t>(run.sample) * heads *
                                                  static_cast<std::size_t>(tokens_);
  std::fill(spins.begin(), spins.end(), 0);
  for (std::size_t t = 0; t < heads; ++t) {
    for (std::int64_t i = 0; i < shape.tokens; ++i) {
      const std::uint64_t bit = forced[static_cast<std::int64_t>(t) * tokens_ + i] != 0 ? 1 : 0;
      spins[t * words + static_cast<std::size_t>(i / 64)] |= bit << (i % 64);
    }
  }
  out.result.solved_by = "forced";
  if (run.on_factors) {
    out.energy = out.result.real_energy = hal::energy_of(run.factors_problem, spins);
    return;
  }
  out.result.energy = hal::energy_of(run.problem, spins);
  out.energy = static_cast<double>(out.result.energy) / run.problem.scale + run.problem.offset;
}

Status QamaSolveStep::submit(SampleRun& run, LayerSolve& out) const {
  hal::SolveOptions options{run.settings->layers[static_cast<std::size_t>(layer_)]};
  options.seed = out.seed = solve_seed(run.settings->seed, run.index, layer_);
  if (run.deadline_ns != 0) {
    // What is left is shared evenly by the layers to come.
    const std::int64_t left_us = (run.deadline_ns - now_ns()) / 1000;
    options.deadline_us = std::max<std::int64_t>(left_us / (layers_ - layer_), 1);
  }
  if (run.on_factors) {
    // Only the local annealer takes factors: nothing to wait for.
    QAMA_RETURN_IF_ERROR(
        run.lane->factors_solver->solve(run.factors_problem, options, spins_of(run), out.result));
    out.energy = out.result.real_energy;
    return {};
  }
  QAMA_RETURN_IF_ERROR(run.lane->solver->submit(run.lane->slot, run.problem, options));
  run.waiting = true;
  return {};
}

Status QamaSolveStep::finish(SampleRun& run) const {
  LayerSolve& out = run.solves[layer_];
  QAMA_RETURN_IF_ERROR(run.lane->solver->wait(run.lane->slot, spins_of(run), out.result));
  out.energy = static_cast<double>(out.result.energy) / run.problem.scale + run.problem.offset;
  return {};
}

ops::QamaV1Workspace QamaV1Regions::in(const Lane& lane) const noexcept {
  return {.couplings = lane.at<double>(couplings),
          .fields = lane.at<double>(fields),
          .entropies = lane.at<double>(entropies),
          .shares = lane.at<double>(shares),
          .selected = lane.at<double>(selected),
          .weights = lane.at<std::int16_t>(weights),
          .biases = lane.at<std::int16_t>(biases),
          .spins = lane.at<std::uint64_t>(spins),
          .energies = lane.at<double>(energies)};
}

Status QamaV1ProblemStep::run(SampleRun& run) const {
  QAMA_RETURN_IF_ERROR(
      op_->front(run.count, run.lane->at<float>(qkv_), regions_.in(*run.lane), run.problem));
  if (run.hooks->problems != nullptr) {
    const ops::QamaV1Spec& spec = op_->spec();
    run.hooks->problems->problem({.layer = info.block,
                                  .sample = run.sample,
                                  .index = run.index,
                                  .seed = solve_seed(run.settings->seed, run.index, info.block),
                                  .problem = &run.problem,
                                  .heads = static_cast<std::int32_t>(spec.heads),
                                  .tokens = static_cast<std::int32_t>(run.count),
                                  .dim_head = static_cast<std::int32_t>(spec.dim_head),
                                  .bits = static_cast<std::int32_t>(spec.bits)});
  }
  return {};
}

Status QamaV1EnergyStep::run(SampleRun& run) const {
  const ops::QamaV1Workspace w = regions_.in(*run.lane);
  const std::int64_t inner = op_->spec().heads * op_->spec().dim_head;
  auto* out = run.lane->at<float>(out_);
  op_->energies(run.count, w);
  op_->output(run.count, w, out);
  std::fill(out + run.count * inner, out + run.rows * inner, 0.0F);
  if (run.hooks->recorder != nullptr) record(run, w);
  return {};
}

void QamaV1EnergyStep::record(const SampleRun& run, const ops::QamaV1Workspace& w) const {
  const std::int64_t heads = op_->spec().heads;
  const std::int64_t used = run.count * op_->spec().bits;
  const std::int64_t all = tokens_ * op_->spec().bits;
  const std::int64_t words = hal::words_per_head(static_cast<std::int32_t>(used));
  std::vector<std::uint8_t> spins(static_cast<std::size_t>(heads * all));
  std::vector<double> energies(static_cast<std::size_t>(heads * tokens_));
  for (std::int64_t t = 0; t < heads; ++t) {
    for (std::int64_t i = 0; i < used; ++i) {
      spins[static_cast<std::size_t>(t * all + i)] =
          static_cast<std::uint8_t>(w.spins[t * words + i / 64] >> (i % 64) & 1U);
    }
    std::copy_n(w.energies + t * run.count, run.count, energies.begin() + t * tokens_);
  }
  const std::string block = "block." + std::to_string(info.block);
  run.hooks->recorder->spins(block + ".spins", run.sample, spins);
  run.hooks->recorder->energies(block + ".energies", run.sample, energies);
}

QamaEnergyStep::QamaEnergyStep(StepInfo step_info, std::shared_ptr<const ops::QamaAttention> op,
                               QamaRegions regions,
                               std::optional<QamaFactorsRegions> factors_regions, std::size_t out,
                               std::int64_t dim, std::int64_t tokens, std::int32_t layer)
    : Step(std::move(step_info)),
      op_(std::move(op)),
      regions_(regions),
      factors_regions_(factors_regions),
      out_(out),
      dim_(dim),
      tokens_(tokens),
      spins_name_("block." + std::to_string(layer) + ".spins"),
      energies_name_("block." + std::to_string(layer) + ".energies") {}

Status QamaEnergyStep::run(SampleRun& run) const {
  const ops::QamaWorkspace w = regions_.in(*run.lane);
  if (run.on_factors) {
    ops::qama_factors_energies(op_->front_spec(), run.count, w, factors_regions_->in(*run.lane),
                               op_->kernels());
  } else {
    op_->energies(run.count, w);
  }
  auto* out = run.lane->at<float>(out_);
  op_->project(run.count, w, out);
  std::fill(out + run.count * dim_, out + run.rows * dim_, 0.0F);
  if (run.hooks->recorder != nullptr) record(run, w);
  return {};
}

/// Out of the padded form into [heads][N]. Recording is for looking, not for production: it
/// allocates.
void QamaEnergyStep::record(const SampleRun& run, const ops::QamaWorkspace& w) const {
  const std::int64_t heads = op_->front_spec().heads;
  const std::int64_t stride = ops::token_stride(run.count);
  std::vector<std::uint8_t> spins(static_cast<std::size_t>(heads * tokens_));
  std::vector<double> energies(spins.size());
  for (std::int64_t t = 0; t < heads; ++t) {
    for (std::int64_t i = 0; i < run.count; ++i) {
      const auto to = static_cast<std::size_t>(t * tokens_ + i);
      spins[to] = static_cast<std::uint8_t>(w.spins[t * (stride / 64) + i / 64] >> (i % 64) & 1U);
      energies[to] = w.energies[t * stride + i];
    }
  }
  run.hooks->recorder->spins(spins_name_, run.sample, spins);
  run.hooks->recorder->energies(energies_name_, run.sample, energies);
}

}  // namespace qama::runtime
