#include "runtime/engine/plan.h"

#include <new>
#include <string>

#include "hal/base/checked.h"
#include "runtime/engine/attention/attention.h"
#include "runtime/engine/builder.h"
#include "runtime/engine/pipeline.h"
#include "runtime/engine/steps/steps.h"

namespace qama::runtime {
namespace {

/// Attention and MLP read the stream itself; a norm takes its place behind each of them.
Status add_post_norm_block(Builder& b, std::int32_t block, const std::string& prefix,
                           const std::string& tensor) {
  const std::int64_t dim = b.architecture().dim;
  const Region<float> standardised = b.normed;
  if (b.architecture().one_norm(block)) {
    b.normed = b.x;
  } else {
    QAMA_RETURN_IF_ERROR(b.add_norm(prefix + "attn.standardise", "", block));
  }
  QAMA_RETURN_IF_ERROR(add_attention(b, {block, prefix, tensor + "attn."}));
  b.tap(prefix + "attn_out", b.delta, dim);
  b.normed = b.x;
  b.leave_delta();
  QAMA_RETURN_IF_ERROR(b.add_norm(prefix + "attn.norm", tensor + "attn.norm", block));
  QAMA_RETURN_IF_ERROR(add_mlp(b, block, prefix, tensor));
  b.leave_delta();
  QAMA_RETURN_IF_ERROR(b.add_norm(prefix + "mlp.norm", tensor + "mlp.norm", block));
  b.tap(prefix + "out", b.x, dim);
  b.normed = standardised;
  return {};
}

Status add_block(Builder& b, std::int32_t block) {
  const std::string prefix = "block." + std::to_string(block) + ".";
  const std::string tensor = "blocks." + std::to_string(b.architecture().group_of(block)) + ".";
  if (b.architecture().norm == weights::NormPlace::post) {
    return add_post_norm_block(b, block, prefix, tensor);
  }
  const std::int64_t dim = b.architecture().dim;
  // A kind with norms of its own has them in the weights behind the standardised rows.
  QAMA_RETURN_IF_ERROR(b.add_norm(
      prefix + "attn.norm", b.architecture().one_norm(block) ? tensor + "attn.norm" : "", block));
  b.tap(prefix + "attn_norm", b.normed, dim);
  QAMA_RETURN_IF_ERROR(add_attention(b, {block, prefix, tensor + "attn."}));
  b.tap(prefix + "attn_out", b.delta, dim);
  b.leave_delta();
  QAMA_RETURN_IF_ERROR(b.add_norm(prefix + "mlp.norm", tensor + "mlp.norm", block));
  QAMA_RETURN_IF_ERROR(add_mlp(b, block, prefix, tensor));
  b.leave_delta(prefix + "out");
  return {};
}

/// All steps of a model, in their order.
Status add_steps(Builder& b) {
  const weights::Architecture& a = b.architecture();
  QAMA_RETURN_IF_ERROR(b.start());
  QAMA_RETURN_IF_ERROR(a.is_image()  ? add_image_embedding(b)
                       : a.is_text() ? add_text_embedding(b)
                                     : add_feature_embedding(b));
  b.tap("embed", b.x, a.dim);
  for (std::int32_t block = 0; block < a.depth; ++block) QAMA_RETURN_IF_ERROR(add_block(b, block));
  if (a.norm == weights::NormPlace::pre) {
    QAMA_RETURN_IF_ERROR(b.add_norm("norm", "norm", -1));
  } else {
    b.normed = b.x;
  }
  b.tap("norm", b.normed, a.dim);
  QAMA_RETURN_IF_ERROR(add_classifier(b));
  return b.finish();
}

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
    QAMA_RETURN_IF_ERROR(add_steps(builder));
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
