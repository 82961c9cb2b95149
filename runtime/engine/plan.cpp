#include "runtime/engine/plan.h"

#include <new>
#include <string>

#include "hal/base/checked.h"
#include "runtime/engine/builder.h"
#include "runtime/engine/forward.h"
#include "runtime/engine/pipeline.h"

namespace qama::runtime {
namespace {

Status check(std::int32_t value, std::int32_t most, const std::string& before,
             const std::string& after) {
  if (value >= 1 && value <= most) return {};
  return Error{ErrorCode::invalid_argument,
               before + std::to_string(value) + after + ", expected 1 to " + std::to_string(most)};
}

}  // namespace

Plan::Plan(std::shared_ptr<const Model> model, const PlanOptions& options)
    : model_(std::move(model)), options_(options), pipeline_(std::make_unique<Pipeline>()) {}
Plan::~Plan() = default;

Result<std::shared_ptr<const Plan>> Plan::create(std::shared_ptr<const Model> model,
                                                 const PlanOptions& options) {
  QAMA_RETURN_IF_ERROR(check(options.max_batch, kMaxBatch, "a batch of ", " samples"));
  QAMA_RETURN_IF_ERROR(check(options.threads, kMaxThreads, "", " threads"));
  QAMA_RETURN_IF_ERROR(check(options.in_flight, kMaxInFlight, "", " samples in flight"));
  QAMA_RETURN_IF_ERROR(
      check(options.sample_threads, kMaxThreads / options.threads, "",
            " threads a sample with " + std::to_string(options.threads) + " workers"));
  try {
    const std::shared_ptr<Plan> plan(new Plan(std::move(model), options));
    Builder builder(*plan->model_, options.factors, options.sample_threads, *plan->pipeline_);
    QAMA_RETURN_IF_ERROR(add_forward(builder));
    const auto all =
        checked_mul<std::size_t>(plan->pipeline_->lane_bytes, options.threads * options.in_flight);
    if (!all)
      return Error{ErrorCode::size_overflow, "the arena does not fit this machine's addresses"};
    plan->arena_bytes_ = *all;
    // The weights lie re-laid in memory of our own now; a table of word vectors is read on demand.
    plan->model_->file().release_pages();
    return std::shared_ptr<const Plan>(plan);
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory, "not enough memory for the plan's weights"};
  }
}

std::span<const StepInfo> Plan::steps() const noexcept {
  return pipeline_->infos;
}
std::span<const ArenaRegion> Plan::regions() const noexcept {
  return pipeline_->regions;
}
std::size_t Plan::lane_bytes() const noexcept {
  return pipeline_->lane_bytes;
}
std::size_t Plan::weight_bytes() const noexcept {
  return pipeline_->weight_bytes;
}
std::span<const std::int32_t> Plan::qama_blocks() const noexcept {
  return pipeline_->qama_blocks;
}
bool Plan::uses_factors() const noexcept {
  return pipeline_->factors_shape.tokens > 0;
}

}  // namespace qama::runtime
