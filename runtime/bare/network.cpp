#include "runtime/bare/network.h"

#include <cmath>

#include "hal/cpu/solvers.h"
#include "runtime/engine/forward.h"

namespace qama::bare {

Result<std::unique_ptr<Network>> Network::create(std::span<const std::byte> flash_form) {
  std::unique_ptr<Network> out(new Network());
  QAMA_RETURN_IF_ERROR(out->set_up(flash_form));
  return out;
}

Status Network::set_up(std::span<const std::byte> flash_form) {
  QAMA_ASSIGN_OR_RETURN(pool_, platform::ThreadPool::create(1));
  {
    // What a plan is made from goes; the solver takes its place.
    QAMA_ASSIGN_OR_RETURN(const auto model, runtime::Model::from_memory(flash_form));
    const weights::Architecture& a = model->architecture();
    runtime::Builder builder(*model, true, 1, pipeline_);
    builder.spares_memory = true;
    QAMA_RETURN_IF_ERROR(runtime::add_forward(builder));
    if (pipeline_.factors_shape.tokens > 0) {
      return Error{ErrorCode::unsupported, "heads that are solved on factors"};
    }
    settings_.seed = a.attention.seed;
    for (const std::int32_t block : pipeline_.qama_blocks) {
      settings_.layers.push_back(a.anneal_of(block));
    }
    labels_ = model->file().labels();
    input_pixels_ = model->input_pixels();
    input_floats_ = model->input_floats();
    tokens_ = a.tokens();
  }
  if (!pipeline_.qama_blocks.empty()) {
    solver_ = hal::cpu::make_dense_solver(hal::cpu::best_kernel(), pipeline_.dense_shape);
    lane_.solver = solver_.get();
  }
  solves_.resize(pipeline_.qama_blocks.size());
  arena_.resize(pipeline_.lane_bytes);
  for (const std::size_t offset : pipeline_.offsets)
    lane_.regions.push_back(arena_.data() + offset);
  lane_.linears.resize(pipeline_.linear_steps.size());
  for (const runtime::LinearStep* step : pipeline_.linear_steps) {
    QAMA_RETURN_IF_ERROR(step->bind(lane_));
  }
  return {};
}

Status Network::classify(std::span<const std::uint8_t> pixels, std::uint64_t index,
                         std::span<float> logits) {
  if (input_pixels_ == 0) {
    return Error{ErrorCode::model_wrong_kind, "pixels for a model of features"};
  }
  if (pixels.size() != input_pixels_ || logits.size() != labels_.size()) {
    return Error{ErrorCode::invalid_argument, "pixels or logits of another size than the model's"};
  }
  run_ = {};
  run_.pixels = pixels.data();
  return run(index, logits);
}

Status Network::classify(std::span<const float> input, std::uint64_t index,
                         std::span<float> logits) {
  if (input.size() != input_floats_ || logits.size() != labels_.size()) {
    return Error{ErrorCode::invalid_argument, "input or logits of another size than the model's"};
  }
  run_ = {};
  run_.floats = input.data();
  return run(index, logits);
}

Status Network::run(std::uint64_t index, std::span<float> logits) {
  run_.lane = &lane_;
  run_.settings = &settings_;
  run_.hooks = &hooks_;
  run_.team = pool_.get();
  run_.solves = solves_.data();
  run_.index = index;
  run_.logits = logits.data();
  run_.count = tokens_;
  run_.rows = pipeline_.rows.back();
  run_.variant = pipeline_.rows.size() - 1;
  for (const auto& step : pipeline_.steps) {
    QAMA_RETURN_IF_ERROR(step->run(run_));
    if (!run_.waiting) continue;
    run_.waiting = false;
    QAMA_RETURN_IF_ERROR(step->finish(run_));
  }
  for (const float logit : logits) {
    if (!std::isfinite(logit)) {
      return Error{ErrorCode::problem_bad_value, "a logit is no finite number"};
    }
  }
  return {};
}

}  // namespace qama::bare
