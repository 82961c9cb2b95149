#include "runtime/engine/plan.h"

#include <algorithm>
#include <new>
#include <optional>

#include "hal/base/aligned.h"
#include "hal/base/checked.h"
#include "hal/problem.h"
#include "ops/attention/bigbird.h"
#include "ops/attention/linformer.h"
#include "ops/attention/longformer.h"
#include "ops/attention/performer.h"
#include "ops/attention/qama.h"
#include "ops/attention/qama_v1.h"
#include "ops/attention/reformer.h"
#include "ops/attention/softmax.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/patch_embedding.h"
#include "ops/pooling.h"
#include "ops/token_embedding.h"
#include "runtime/engine/arena_layout.h"
#include "runtime/engine/attention_steps.h"
#include "runtime/engine/preprocess.h"
#include "runtime/engine/step.h"

namespace qama::runtime {
namespace {

using Region = std::size_t;

// ---- small steps --------------------------------------------------------------------------------

class NormaliseImage final : public Step {
 public:
  NormaliseImage(StepInfo step_info, const Model& model, Region to)
      : Step(std::move(step_info)), op_(model), to_(to) {}
  Status run(SampleRun& run) const override {
    // An image that came as floats is used where it lies.
    if (run.pixels == nullptr) return {};
    op_.apply(run.pixels, run.lane->at<float>(to_));
    run.image = run.lane->at<float>(to_);
    return {};
  }

 private:
  ImageNormaliser op_;
  Region to_;
};

class UnfoldPatches final : public Step {
 public:
  UnfoldPatches(StepInfo step_info, ops::PatchUnfold op, ops::LayerNorm norm, Region to)
      : Step(std::move(step_info)), op_(op), norm_(std::move(norm)), to_(to) {}
  Status run(SampleRun& run) const override {
    auto* out = run.lane->at<float>(to_);
    op_.run(run.image, out);
    norm_.run(op_.patches(), out, out);
    return {};
  }

 private:
  ops::PatchUnfold op_;
  ops::LayerNorm norm_;
  Region to_;
};

/// norm(x) + position
class PositionNorm final : public Step {
 public:
  PositionNorm(StepInfo step_info, ops::LayerNorm norm, std::span<const float> position,
               std::int64_t rows, Region x)
      : Step(std::move(step_info)),
        norm_(std::move(norm)),
        position_(position.size()),
        rows_(rows),
        x_(x) {
    std::copy(position.begin(), position.end(), position_.data());
  }
  Status run(SampleRun& run) const override {
    auto* x = run.lane->at<float>(x_);
    norm_.run_plus(rows_, x, position_.data(), x);
    return {};
  }

 private:
  ops::LayerNorm norm_;
  AlignedBuffer<float> position_;
  std::int64_t rows_;
  Region x_;
};

class PoolTokens final : public Step {
 public:
  PoolTokens(StepInfo step_info, ops::TokenPool op, Region from, Region to)
      : Step(std::move(step_info)), op_(op), from_(from), to_(to) {}
  Status run(SampleRun& run) const override {
    op_.run(run.lane->at<float>(from_), run.lane->at<float>(to_));
    return {};
  }

 private:
  ops::TokenPool op_;
  Region from_, to_;
};

class LookUpTokens final : public Step {
 public:
  LookUpTokens(StepInfo step_info, ops::TokenEmbedding op, Region to)
      : Step(std::move(step_info)), op_(op), to_(to) {}
  Status run(SampleRun& run) const override {
    op_.run(run.tokens, run.count, run.rows, run.lane->at<float>(to_));
    return {};
  }

 private:
  ops::TokenEmbedding op_;
  Region to_;
};

class AddPosition final : public Step {
 public:
  AddPosition(StepInfo step_info, std::span<const float> position, std::int64_t dim, Region x)
      : Step(std::move(step_info)), position_(position.size()), dim_(dim), x_(x) {
    std::copy(position.begin(), position.end(), position_.data());
  }
  Status run(SampleRun& run) const override {
    ops::add_position(run.count, dim_, position_.data(), run.lane->at<float>(x_));
    return {};
  }

 private:
  AlignedBuffer<float> position_;
  std::int64_t dim_;
  Region x_;
};

/// y = norm(x), or x += delta and then y = norm(x).
class NormTokens final : public Step {
 public:
  NormTokens(StepInfo step_info, ops::LayerNorm norm, Region x, std::optional<Region> delta,
             Region y)
      : Step(std::move(step_info)), norm_(std::move(norm)), x_(x), delta_(delta), y_(y) {}
  Status run(SampleRun& run) const override {
    auto* x = run.lane->at<float>(x_);
    auto* y = run.lane->at<float>(y_);
    if (delta_.has_value()) {
      norm_.run_residual(run.rows, x, run.lane->at<float>(*delta_), y);
    } else {
      norm_.run(run.rows, x, y);
    }
    return {};
  }

 private:
  ops::LayerNorm norm_;
  Region x_;
  std::optional<Region> delta_;
  Region y_;
};

class PoolSample final : public Step {
 public:
  PoolSample(StepInfo step_info, weights::Pool pool, std::int64_t dim, Region from, Region to)
      : Step(std::move(step_info)), pool_(pool), dim_(dim), from_(from), to_(to) {}
  Status run(SampleRun& run) const override {
    const float* const x = run.lane->at<float>(from_);
    float* const y = run.lane->at<float>(to_);
    if (pool_ == weights::Pool::max) {
      ops::max_pool(run.count, dim_, x, y);
    } else {
      ops::mean_pool(run.count, dim_, x, y);
    }
    return {};
  }

 private:
  weights::Pool pool_;
  std::int64_t dim_;
  Region from_, to_;
};

class CopyLogits final : public Step {
 public:
  CopyLogits(StepInfo step_info, std::int64_t classes, Region from)
      : Step(std::move(step_info)), classes_(classes), from_(from) {}
  Status run(SampleRun& run) const override {
    const auto* from = run.lane->at<float>(from_);
    std::copy(from, from + classes_, run.logits);
    return {};
  }

 private:
  std::int64_t classes_;
  Region from_;
};

/// The numbers of rows that a text's layers are prepared for: powers of two up to the model's own
/// N, so that a short text does not pay for a long one.
std::vector<std::int64_t> row_variants(const weights::Architecture& a) {
  std::vector<std::int64_t> rows;
  if (a.is_text()) {
    for (std::int64_t r = 16; r < a.tokens(); r *= 2) rows.push_back(r);
  }
  rows.push_back(a.tokens());
  return rows;
}

// ---- the builder --------------------------------------------------------------------------------

class Builder {
 public:
  Builder(Plan::Impl& plan) : plan_(plan), a_(plan.model->architecture()) {}

  Status build() {
    QAMA_ASSIGN_OR_RETURN(plan_.factory, ops::LinearFactory::create());
    plan_.rows = row_variants(a_);
    const auto n = static_cast<std::size_t>(a_.tokens());
    const auto dim = static_cast<std::size_t>(a_.dim);
    QAMA_ASSIGN_OR_RETURN(x_, region("x", {n, dim}));
    QAMA_ASSIGN_OR_RETURN(normed_, region("normed", {n, dim}));
    QAMA_ASSIGN_OR_RETURN(delta_, region("delta", {n, dim}));
    QAMA_RETURN_IF_ERROR(a_.is_image() ? image_embedding() : text_embedding());
    plan_.steps.back()->taps.push_back({"embed", x_, a_.dim, true});
    for (std::int32_t block = 0; block < a_.depth; ++block) QAMA_RETURN_IF_ERROR(add_block(block));
    QAMA_RETURN_IF_ERROR(add_norm("norm", "norm", -1));
    plan_.steps.back()->taps.push_back({"norm", normed_, a_.dim, true});
    QAMA_RETURN_IF_ERROR(classifier());
    return finish();
  }

 private:
  // -- weights

  Result<std::span<const float>> weight(const std::string& name) const {
    return plan_.model->file().f32(name);
  }
  /// An empty span for a tensor that this architecture has not.
  Result<std::span<const float>> weight_if(bool present, const std::string& name) const {
    if (!present) return std::span<const float>{};
    return weight(name);
  }

  // -- regions and steps

  Result<Region> region(std::string name, std::initializer_list<std::size_t> extents,
                        std::size_t element = sizeof(float)) {
    std::size_t count = 1;
    for (const std::size_t extent : extents) {
      const auto product = checked_mul(count, extent);
      if (!product) return Error{ErrorCode::size_overflow, "'" + name + "' has too many elements"};
      count = *product;
    }
    return layout_.add(std::move(name), count, element);
  }

  /// Appends a step that reads or writes `used`.
  void add(std::unique_ptr<Step> step, std::initializer_list<Region> used) {
    for (const Region id : used) layout_.use(id, plan_.steps.size());
    plan_.steps.push_back(std::move(step));
  }
  /// The step before the last one reads or writes `id`, too (an operator's scratch).
  void also(Region id) { layout_.use(id, plan_.steps.size() - 1); }
  void also(const std::optional<QamaFactorsRegions>& regions) {
    if (!regions.has_value()) return;
    for (const Region id :
         {regions->factors, regions->fields, regions->constants, regions->scratch})
      also(id);
  }

  StepInfo info(std::string name, std::string op, std::string implementation,
                std::int32_t block = -1, std::int64_t macs = 0) const {
    return {std::move(name), std::move(op), std::move(implementation), block, macs};
  }
  [[nodiscard]] static std::string lanes() {
    return "simd:" + std::string(ops::best_kernels().name);
  }

  Result<ops::LayerNorm> layer_norm(const std::string& tensor) {
    QAMA_ASSIGN_OR_RETURN(const auto gamma, weight(tensor + ".weight"));
    QAMA_ASSIGN_OR_RETURN(const auto beta, weight(tensor + ".bias"));
    auto norm = ops::LayerNorm::create(gamma, beta, a_.norm_eps);
    if (norm.ok()) plan_.weight_bytes += norm->weight_bytes();
    return norm;
  }

  struct LinearUse {
    std::string name, op;
    std::int32_t block = -1;
    ops::LinearSpec spec;
    std::span<const float> weights, bias;
    Region from = 0, to = 0;
  };
  Status add_linear(const LinearUse& use) {
    QAMA_ASSIGN_OR_RETURN(auto op,
                          ops::Linear::create(*plan_.factory, use.spec, use.weights, use.bias));
    QAMA_ASSIGN_OR_RETURN(const Region scratch,
                          region(use.name + ".scratch", {op->scratch_bytes()}, 1));
    plan_.weight_bytes += op->weight_bytes();
    StepInfo step_info = info(use.name, use.op, op->implementation(), use.block,
                              use.spec.rows.back() * use.spec.in * use.spec.out);
    auto step = std::make_unique<LinearStep>(std::move(step_info), std::move(op),
                                             plan_.linear_steps.size(), use.from, use.to, scratch);
    plan_.linear_steps.push_back(step.get());
    add(std::move(step), {use.from, use.to, scratch});
    return {};
  }
  /// A linear layer over all tokens whose tensors are `tensor`.weight and, with a bias,
  /// `tensor`.bias.
  Status add_token_linear(std::string name, const std::string& tensor, std::int32_t block,
                          std::int64_t in, std::int64_t out, bool bias, ops::Activation activation,
                          std::vector<std::int64_t> rows, Region from, Region to) {
    QAMA_ASSIGN_OR_RETURN(const auto w, weight(tensor + ".weight"));
    QAMA_ASSIGN_OR_RETURN(const auto b, weight_if(bias, tensor + ".bias"));
    return add_linear({.name = std::move(name),
                       .op = activation == ops::Activation::none ? "linear" : "linear+gelu",
                       .block = block,
                       .spec = {in, out, bias, activation, std::move(rows)},
                       .weights = w,
                       .bias = b,
                       .from = from,
                       .to = to});
  }

  /// A norm of the residual stream; what the layer before left in delta_ is added first.
  Status add_norm(std::string name, const std::string& tensor, std::int32_t block) {
    QAMA_ASSIGN_OR_RETURN(auto norm, layer_norm(tensor));
    const bool residual = pending_;
    auto step = std::make_unique<NormTokens>(
        info(std::move(name), residual ? "residual+layer_norm" : "layer_norm", lanes(), block),
        std::move(norm), x_, residual ? std::optional<Region>(delta_) : std::nullopt, normed_);
    if (!pending_name_.empty()) step->taps.push_back({pending_name_, x_, a_.dim, true});
    add(std::move(step), {x_, normed_});
    if (residual) also(delta_);
    pending_ = false;
    pending_name_.clear();
    return {};
  }

  // -- the parts of a model

  Status image_embedding() {
    const auto n = static_cast<std::size_t>(a_.tokens_before_pool());
    const ops::PatchUnfold unfold{a_.image_height, a_.image_width, a_.image_channels, a_.patch};
    QAMA_ASSIGN_OR_RETURN(const Region image, region("image", {plan_.model->input_floats()}));
    QAMA_ASSIGN_OR_RETURN(const Region patches,
                          region("patches", {n, static_cast<std::size_t>(unfold.patch_dim())}));
    add(std::make_unique<NormaliseImage>(info("preprocess", "normalise", "table"), *plan_.model,
                                         image),
        {image});
    QAMA_ASSIGN_OR_RETURN(auto norm1, layer_norm("patch.norm1"));
    add(std::make_unique<UnfoldPatches>(info("patch.norm1", "unfold+layer_norm", lanes()), unfold,
                                        std::move(norm1), patches),
        {image, patches});

    const bool pooled = a_.token_pool_rows * a_.token_pool_cols > 1;
    Region grid = x_;
    if (pooled) {
      QAMA_ASSIGN_OR_RETURN(grid, region("grid", {n, static_cast<std::size_t>(a_.dim)}));
    }
    const std::vector<std::int64_t> rows{a_.tokens_before_pool()};
    QAMA_RETURN_IF_ERROR(add_token_linear("patch.linear", "patch.linear", -1, a_.patch_dim(),
                                          a_.dim, true, ops::Activation::none, rows, patches,
                                          grid));
    QAMA_ASSIGN_OR_RETURN(auto norm2, layer_norm("patch.norm2"));
    QAMA_ASSIGN_OR_RETURN(const auto position, weight("position"));
    add(std::make_unique<PositionNorm>(info("patch.norm2", "layer_norm+position", lanes()),
                                       std::move(norm2), position, a_.tokens_before_pool(), grid),
        {grid});
    plan_.weight_bytes += position.size_bytes();
    if (pooled) {
      const ops::TokenPool pool{a_.grid_rows(), a_.grid_cols(), a_.token_pool_rows,
                                a_.token_pool_cols, a_.dim};
      add(std::make_unique<PoolTokens>(info("token_pool", "average_pool", "plain"), pool, grid, x_),
          {grid, x_});
    }
    return {};
  }

  Status text_embedding() {
    QAMA_ASSIGN_OR_RETURN(const auto table, weight("embed.weight"));
    QAMA_ASSIGN_OR_RETURN(const auto position, weight("position"));
    QAMA_ASSIGN_OR_RETURN(const Region words,
                          region("words", {static_cast<std::size_t>(a_.tokens()),
                                           static_cast<std::size_t>(a_.projected())}));
    add(std::make_unique<LookUpTokens>(info("embed.lookup", "token_embedding", "copy"),
                                       ops::TokenEmbedding{table, a_.embedding, a_.neighbours},
                                       words),
        {words});
    QAMA_RETURN_IF_ERROR(add_token_linear("embed.proj", "embed.proj", -1, a_.projected(), a_.dim,
                                          true, ops::Activation::none, plan_.rows, words, x_));
    add(std::make_unique<AddPosition>(info("embed.position", "add", "plain"), position, a_.dim, x_),
        {x_});
    plan_.weight_bytes += position.size_bytes();
    return {};
  }

  Status add_block(std::int32_t block) {
    const std::string prefix = "block." + std::to_string(block) + ".";
    const std::string tensor = "blocks." + std::to_string(block) + ".";
    QAMA_RETURN_IF_ERROR(add_norm(prefix + "attn.norm", tensor + "attn.norm", block));
    plan_.steps.back()->taps.push_back({prefix + "attn_norm", normed_, a_.dim, true});
    switch (a_.attention.kind) {
      case weights::AttentionKind::softmax:
        QAMA_RETURN_IF_ERROR(softmax_attention(block, prefix, tensor));
        break;
      case weights::AttentionKind::qama:
        QAMA_RETURN_IF_ERROR(qama_attention(block, prefix, tensor));
        break;
      case weights::AttentionKind::longformer:
      case weights::AttentionKind::bigbird:
      case weights::AttentionKind::linformer:
      case weights::AttentionKind::performer:
      case weights::AttentionKind::reformer:
        QAMA_RETURN_IF_ERROR(mixing_attention(block, prefix, tensor));
        break;
      case weights::AttentionKind::qama_v1:
        QAMA_RETURN_IF_ERROR(qama_v1_attention(block, prefix, tensor));
        break;
      default:
        return Error{ErrorCode::unsupported, "attention '" +
                                                 std::string(name_of(a_.attention.kind)) +
                                                 "' has no operator in this build"};
    }
    plan_.steps.back()->taps.push_back({prefix + "attn_out", delta_, a_.dim, true});
    pending_ = true;
    QAMA_RETURN_IF_ERROR(add_norm(prefix + "mlp.norm", tensor + "mlp.norm", block));
    QAMA_ASSIGN_OR_RETURN(const Region hidden,
                          region(prefix + "hidden", {static_cast<std::size_t>(a_.tokens()),
                                                     static_cast<std::size_t>(a_.mlp)}));
    const auto gelu =
        a_.gelu == weights::Gelu::erf ? ops::Activation::gelu_erf : ops::Activation::gelu_tanh;
    QAMA_RETURN_IF_ERROR(add_token_linear(prefix + "mlp.fc1", tensor + "mlp.fc1", block, a_.dim,
                                          a_.mlp, true, gelu, plan_.rows, normed_, hidden));
    QAMA_RETURN_IF_ERROR(add_token_linear(prefix + "mlp.fc2", tensor + "mlp.fc2", block, a_.mlp,
                                          a_.dim, true, ops::Activation::none, plan_.rows, hidden,
                                          delta_));
    pending_ = true;
    pending_name_ = prefix + "out";
    return {};
  }

  Status softmax_attention(std::int32_t block, const std::string& prefix,
                           const std::string& tensor) {
    const auto n = static_cast<std::size_t>(a_.tokens());
    const auto inner = static_cast<std::size_t>(a_.inner());
    const ops::SoftmaxAttention op{a_.heads, a_.dim_head};
    QAMA_ASSIGN_OR_RETURN(const Region qkv, region(prefix + "qkv", {n, 3 * inner}));
    QAMA_ASSIGN_OR_RETURN(const Region mixed, region(prefix + "mixed", {n, inner}));
    QAMA_ASSIGN_OR_RETURN(const Region scratch,
                          region(prefix + "attn.scratch", {op.scratch_bytes(a_.tokens())}, 1));
    QAMA_RETURN_IF_ERROR(add_token_linear(prefix + "attn.qkv", tensor + "attn.qkv", block, a_.dim,
                                          3 * static_cast<std::int64_t>(a_.inner()), false,
                                          ops::Activation::none, plan_.rows, normed_, qkv));
    const std::int64_t macs = 2 * static_cast<std::int64_t>(a_.tokens()) * a_.tokens() * a_.inner();
    add(std::make_unique<SoftmaxStep>(
            info(prefix + "attn.softmax", "softmax_attention", lanes(), block, macs), op, qkv,
            mixed, scratch),
        {qkv, mixed, scratch});
    return add_token_linear(prefix + "attn.out", tensor + "attn.out", block, a_.inner(), a_.dim,
                            false, ops::Activation::none, plan_.rows, mixed, delta_);
  }

  Result<std::unique_ptr<ops::MixingAttention>> mixing_operator(const std::string& attn) const {
    using Kind = weights::AttentionKind;
    const weights::AttentionSpec& s = a_.attention;
    const ops::MixingShape shape{a_.tokens(), a_.heads, a_.dim_head};
    if (s.kind == Kind::longformer) {
      return std::unique_ptr<ops::MixingAttention>(
          ops::LongformerAttention::create(shape, s.window, s.global_tokens));
    }
    if (s.kind == Kind::bigbird) {
      ops::BigBirdSpec spec{s.block, s.window_blocks, s.global_blocks, s.random_blocks, {}};
      if (s.random_blocks > 0) {
        QAMA_ASSIGN_OR_RETURN(const auto* table,
                              plan_.model->file().tensor(attn + "random_blocks"));
        QAMA_ASSIGN_OR_RETURN(spec.random, table->i32());
      }
      return as_mixing(ops::BigBirdAttention::create(shape, spec));
    }
    if (s.kind == Kind::linformer) {
      QAMA_ASSIGN_OR_RETURN(const auto proj_k, weight(attn + "proj_k"));
      QAMA_ASSIGN_OR_RETURN(const auto proj_v, weight(attn + "proj_v"));
      return as_mixing(ops::LinformerAttention::create(shape, s.rank, proj_k, proj_v));
    }
    if (s.kind == Kind::performer) {
      QAMA_ASSIGN_OR_RETURN(const auto features, weight(attn + "features"));
      return as_mixing(ops::PerformerAttention::create(shape, s.features, features));
    }
    QAMA_ASSIGN_OR_RETURN(const auto rotations, weight(attn + "rotations"));
    return as_mixing(
        ops::ReformerAttention::create(shape, {s.hashes, s.buckets, s.chunk, rotations}));
  }
  template <typename Op>
  static Result<std::unique_ptr<ops::MixingAttention>> as_mixing(Result<std::unique_ptr<Op>> op) {
    if (!op.ok()) return op.error();
    return std::unique_ptr<ops::MixingAttention>(std::move(*op));
  }

  Status mixing_attention(std::int32_t block, const std::string& prefix,
                          const std::string& tensor) {
    const auto n = static_cast<std::size_t>(a_.tokens());
    const auto inner = static_cast<std::size_t>(a_.inner());
    const auto parts = static_cast<std::size_t>(a_.projections());
    QAMA_ASSIGN_OR_RETURN(auto op, mixing_operator(tensor + "attn."));
    QAMA_ASSIGN_OR_RETURN(const Region qkv, region(prefix + "qkv", {n, parts * inner}));
    QAMA_ASSIGN_OR_RETURN(const Region mixed, region(prefix + "mixed", {n, inner}));
    QAMA_ASSIGN_OR_RETURN(const Region scratch,
                          region(prefix + "attn.scratch", {op->scratch_floats()}));
    QAMA_RETURN_IF_ERROR(add_token_linear(prefix + "attn.qkv", tensor + "attn.qkv", block, a_.dim,
                                          static_cast<std::int64_t>(parts * inner), false,
                                          ops::Activation::none, plan_.rows, normed_, qkv));
    plan_.weight_bytes += op->weight_bytes();
    const std::string name(op->name());
    StepInfo step_info = info(prefix + "attn." + name, name, lanes(), block, op->macs());
    add(std::make_unique<MixingStep>(std::move(step_info), std::move(op), qkv, mixed, scratch),
        {qkv, mixed, scratch});
    return add_token_linear(prefix + "attn.out", tensor + "attn.out", block, a_.inner(), a_.dim,
                            false, ops::Activation::none, plan_.rows, mixed, delta_);
  }

  /// Memory for layers on factors: linear in the tokens.
  Result<QamaFactorsRegions> factors_regions(const std::string& prefix) {
    const auto heads = static_cast<std::size_t>(a_.heads);
    const auto n = static_cast<std::size_t>(a_.tokens());
    const auto width = static_cast<std::size_t>(ops::long_factor_width(a_.dim_head));
    QamaFactorsRegions l{};
    QAMA_ASSIGN_OR_RETURN(l.factors, region(prefix + "long.factors", {heads, n, width}));
    QAMA_ASSIGN_OR_RETURN(l.fields, region(prefix + "long.fields", {heads, n}));
    QAMA_ASSIGN_OR_RETURN(l.constants, region(prefix + "long.constants", {2, heads}));
    QAMA_ASSIGN_OR_RETURN(
        l.scratch,
        region(prefix + "long.scratch",
               {static_cast<std::size_t>(ops::long_factor_scratch(a_.dim_head))}, sizeof(double)));
    plan_.factors_shape = {a_.heads, a_.tokens()};
    plan_.factors_rank = static_cast<std::int32_t>(width);
    return l;
  }

  Status qama_attention(std::int32_t block, const std::string& prefix, const std::string& tensor) {
    const std::string attn = tensor + "attn.";
    // The sample's own tokens decide, not the model's most, so that a text's answer does not depend
    // on what other texts the model takes.
    const std::int32_t first_long =
        hal::first_factors_tokens(a_.heads, a_.dim_head, a_.anneal_of(block).rounds);
    const bool long_heads =
        plan_.options.factors && a_.dim_head <= ops::kMaxLongDimHead && a_.tokens() >= first_long;
    const std::int32_t dense_tokens = long_heads ? first_long - 1 : a_.tokens();
    if (dense_tokens > hal::kMaxDenseTokens) {
      return Error{ErrorCode::unsupported,
                   "QAMA over " + std::to_string(a_.tokens()) +
                       " tokens with couplings as integers, expected at most " +
                       std::to_string(hal::kMaxDenseTokens) +
                       "; the local annealer takes more, on factors of heads of at most " +
                       std::to_string(ops::kMaxLongDimHead) + " dimensions"};
    }
    plan_.dense_shape = {a_.heads, dense_tokens};
    const weights::AttentionSpec& spec = a_.attention;
    const bool layer = spec.energy_norm == weights::EnergyNorm::layer;
    const bool batch = spec.energy_norm == weights::EnergyNorm::batch;
    ops::QamaSpec q;
    q.front.heads = a_.heads;
    q.front.dim_head = a_.dim_head;
    q.front.normalisation =
        spec.normalisation == weights::Normalisation::none       ? ops::QamaNormalisation::none
        : spec.normalisation == weights::Normalisation::instance ? ops::QamaNormalisation::instance
                                                                 : ops::QamaNormalisation::batch;
    q.front.eps = a_.norm_eps;
    q.front.rho0 = spec.rho0;
    q.front.gamma0 = spec.gamma0;
    q.energy_norm = layer   ? ops::QamaEnergyNorm::layer
                    : batch ? ops::QamaEnergyNorm::batch
                            : ops::QamaEnergyNorm::none;
    q.norm_eps = a_.norm_eps;
    q.dim = a_.dim;
    QAMA_ASSIGN_OR_RETURN(q.front.coupling_scale, weight(attn + "coupling.scale"));
    QAMA_ASSIGN_OR_RETURN(q.front.coupling_shift, weight(attn + "coupling.shift"));
    QAMA_ASSIGN_OR_RETURN(q.front.field_scale, weight(attn + "field.scale"));
    QAMA_ASSIGN_OR_RETURN(q.front.field_shift, weight(attn + "field.shift"));
    QAMA_ASSIGN_OR_RETURN(q.w_eps, weight(attn + "w_eps"));
    QAMA_ASSIGN_OR_RETURN(q.out_weight, weight(attn + "out.weight"));
    QAMA_ASSIGN_OR_RETURN(
        q.energy_scale,
        weight_if(layer || batch, attn + (layer ? "energy.weight" : "energy.scale")));
    QAMA_ASSIGN_OR_RETURN(
        q.energy_shift, weight_if(layer || batch, attn + (layer ? "energy.bias" : "energy.shift")));
    QAMA_ASSIGN_OR_RETURN(const auto qkv, weight(attn + "qkv.weight"));
    QAMA_ASSIGN_OR_RETURN(const auto qkh,
                          ops::fold_qkh(qkv, q.w_eps, a_.heads, a_.dim_head, a_.dim));
    QAMA_ASSIGN_OR_RETURN(std::shared_ptr<const ops::QamaAttention> op,
                          ops::QamaAttention::create(q));
    plan_.weight_bytes += op->weight_bytes();

    const auto n = static_cast<std::size_t>(a_.tokens());
    const std::size_t columns =
        2 * static_cast<std::size_t>(a_.inner()) + static_cast<std::size_t>(a_.heads);
    QAMA_ASSIGN_OR_RETURN(const Region projected, region(prefix + "qkh", {n, columns}));
    const auto e = ops::QamaExtents::of(a_.heads, a_.tokens(), a_.dim_head);
    const auto dense = ops::QamaExtents::of(a_.heads, dense_tokens, a_.dim_head);
    QamaRegions r{};
    r.heads = a_.heads;
    QAMA_ASSIGN_OR_RETURN(r.factors, region(prefix + "factors", {dense.factors}));
    QAMA_ASSIGN_OR_RETURN(r.fields, region(prefix + "fields", {e.fields}, sizeof(double)));
    QAMA_ASSIGN_OR_RETURN(r.coefficients,
                          region(prefix + "coefficients", {2 * e.coefficients}, sizeof(double)));
    QAMA_ASSIGN_OR_RETURN(r.weights,
                          region(prefix + "weights", {dense.weights}, sizeof(std::int16_t)));
    QAMA_ASSIGN_OR_RETURN(r.biases,
                          region(prefix + "biases", {dense.biases}, sizeof(std::int16_t)));
    QAMA_ASSIGN_OR_RETURN(r.couplings, region(prefix + "couplings", {dense.couplings}));
    QAMA_ASSIGN_OR_RETURN(r.scratch,
                          region(prefix + "front.scratch", {dense.scratch}, sizeof(double)));
    QAMA_ASSIGN_OR_RETURN(r.spins, region(prefix + "spins", {e.spins}, sizeof(std::uint64_t)));
    QAMA_ASSIGN_OR_RETURN(r.energies, region(prefix + "energies", {e.energies}, sizeof(double)));
    QAMA_ASSIGN_OR_RETURN(r.project, region(prefix + "project", {e.project}, sizeof(double)));

    std::optional<QamaFactorsRegions> l;
    if (long_heads) {
      QAMA_ASSIGN_OR_RETURN(l, factors_regions(prefix));
      l->from = first_long;
    }

    QAMA_RETURN_IF_ERROR(add_linear({.name = prefix + "attn.qkh",
                                     .op = "linear",
                                     .block = block,
                                     .spec = {a_.dim, static_cast<std::int64_t>(columns), false,
                                              ops::Activation::none, plan_.rows},
                                     .weights = qkh.span(),
                                     .bias = {},
                                     .from = normed_,
                                     .to = projected}));
    // Multiply-adds of a full-length sample: J, or three triangles of the width's square.
    const std::int64_t n64 = a_.tokens();
    const std::int64_t macs =
        n64 * a_.inner() * (long_heads ? 3 * ops::long_factor_width(a_.dim_head) / 2 : n64);
    add(std::make_unique<QamaProblemStep>(
            info(prefix + "attn.problem", "qama.problem", lanes(), block, macs), op, r, l,
            projected, block),
        {projected, r.factors, r.fields, r.coefficients, r.weights, r.biases, r.couplings,
         r.scratch});
    also(l);
    add(std::make_unique<QamaSolveStep>(info(prefix + "attn.solve", "qama.solve", "device", block),
                                        r.spins, block, a_.depth, a_.tokens()),
        {r.weights, r.biases, r.spins});
    add(std::make_unique<QamaEnergyStep>(
            info(prefix + "attn.energy", "qama.energy", lanes(), block), op, r, l, delta_, a_.dim,
            a_.tokens(), block),
        {r.factors, r.fields, r.coefficients, r.spins, r.energies, r.project, delta_});
    also(l);
    ++plan_.qama_layers;
    return {};
  }

  Status qama_v1_attention(std::int32_t block, const std::string& prefix,
                           const std::string& tensor) {
    const std::string attn = tensor + "attn.";
    if (a_.spins_per_head() > hal::kMaxDenseTokens) {
      return Error{ErrorCode::unsupported,
                   "first-version QAMA over " + std::to_string(a_.spins_per_head()) +
                       " spins a head, expected at most " + std::to_string(hal::kMaxDenseTokens)};
    }
    plan_.dense_shape = {a_.heads, a_.spins_per_head()};
    const weights::AttentionSpec& spec = a_.attention;
    ops::QamaV1Spec v;
    v.heads = a_.heads;
    v.dim_head = a_.dim_head;
    v.bits = spec.bits;
    v.quadratic = spec.quadratic;
    v.linear = spec.linear;
    v.penalty = spec.penalty;
    QAMA_ASSIGN_OR_RETURN(v.coupling_scale, weight(attn + "coupling.scale"));
    QAMA_ASSIGN_OR_RETURN(v.coupling_shift, weight(attn + "coupling.shift"));
    QAMA_ASSIGN_OR_RETURN(v.field_scale, weight(attn + "field.scale"));
    QAMA_ASSIGN_OR_RETURN(v.field_shift, weight(attn + "field.shift"));
    QAMA_ASSIGN_OR_RETURN(v.energy_scale, weight(attn + "energy.scale"));
    QAMA_ASSIGN_OR_RETURN(v.energy_shift, weight(attn + "energy.shift"));
    QAMA_ASSIGN_OR_RETURN(std::shared_ptr<const ops::QamaV1Attention> op,
                          ops::QamaV1Attention::create(v));

    const auto n = static_cast<std::size_t>(a_.tokens());
    const auto inner = static_cast<std::size_t>(a_.inner());
    const auto e = ops::QamaV1Extents::of(v, a_.tokens());
    QamaV1Regions r{};
    QAMA_ASSIGN_OR_RETURN(const Region qkv, region(prefix + "qkv", {n, 3 * inner}));
    QAMA_ASSIGN_OR_RETURN(const Region mixed, region(prefix + "mixed", {n, inner}));
    QAMA_ASSIGN_OR_RETURN(r.couplings, region(prefix + "couplings", {e.couplings}, sizeof(double)));
    QAMA_ASSIGN_OR_RETURN(r.fields, region(prefix + "fields", {e.fields}, sizeof(double)));
    QAMA_ASSIGN_OR_RETURN(r.entropies, region(prefix + "entropies", {e.entropies}, sizeof(double)));
    QAMA_ASSIGN_OR_RETURN(r.shares, region(prefix + "shares", {e.shares}, sizeof(double)));
    QAMA_ASSIGN_OR_RETURN(r.selected, region(prefix + "selected", {e.selected}, sizeof(double)));
    QAMA_ASSIGN_OR_RETURN(r.weights, region(prefix + "weights", {e.weights}, sizeof(std::int16_t)));
    QAMA_ASSIGN_OR_RETURN(r.biases, region(prefix + "biases", {e.biases}, sizeof(std::int16_t)));
    QAMA_ASSIGN_OR_RETURN(r.spins, region(prefix + "spins", {e.spins}, sizeof(std::uint64_t)));
    QAMA_ASSIGN_OR_RETURN(r.energies, region(prefix + "energies", {e.energies}, sizeof(double)));
    QAMA_RETURN_IF_ERROR(add_token_linear(prefix + "attn.qkv", tensor + "attn.qkv", block, a_.dim,
                                          static_cast<std::int64_t>(3 * inner), false,
                                          ops::Activation::none, plan_.rows, normed_, qkv));
    add(std::make_unique<QamaV1ProblemStep>(
            info(prefix + "attn.problem", "qama_v1.problem", "plain", block), op, r, qkv),
        {qkv, r.couplings, r.fields, r.entropies, r.shares, r.weights, r.biases});
    add(std::make_unique<QamaSolveStep>(info(prefix + "attn.solve", "qama.solve", "device", block),
                                        r.spins, block, a_.depth, a_.spins_per_head()),
        {r.weights, r.biases, r.spins});
    add(std::make_unique<QamaV1EnergyStep>(
            info(prefix + "attn.energy", "qama_v1.energy", "plain", block), op, r, mixed,
            a_.tokens()),
        {r.couplings, r.fields, r.entropies, r.selected, r.spins, r.energies, mixed});
    ++plan_.qama_layers;
    return add_token_linear(prefix + "attn.out", tensor + "attn.out", block, a_.inner(), a_.dim,
                            false, ops::Activation::none, plan_.rows, mixed, delta_);
  }

  Status classifier() {
    QAMA_ASSIGN_OR_RETURN(const Region pooled,
                          region("pooled", {static_cast<std::size_t>(a_.dim)}));
    QAMA_ASSIGN_OR_RETURN(const Region logits,
                          region("logits", {static_cast<std::size_t>(a_.classes)}));
    const bool largest = a_.pool == weights::Pool::max;
    add(std::make_unique<PoolSample>(
            info("pool", largest ? "max_pool" : "mean_pool", largest ? "plain" : lanes()), a_.pool,
            a_.dim, normed_, pooled),
        {normed_, pooled});
    plan_.steps.back()->taps.push_back({"pooled", pooled, a_.dim, false});
    QAMA_RETURN_IF_ERROR(add_token_linear("head", "head", -1, a_.dim, a_.classes, true,
                                          ops::Activation::none, {1}, pooled, logits));
    plan_.steps.back()->info.op = "classifier";
    plan_.steps.back()->taps.push_back({"logits", logits, a_.classes, false});
    add(std::make_unique<CopyLogits>(info("output", "copy", "plain"), a_.classes, logits),
        {logits});
    return {};
  }

  Status finish() {
    QAMA_ASSIGN_OR_RETURN(plan_.lane_bytes, layout_.place());
    for (const ArenaLayout::Region& region : layout_.regions()) {
      plan_.offsets.push_back(region.offset);
      if (region.bytes > 0) plan_.regions.push_back({region.name, region.offset, region.bytes});
    }
    const std::size_t lanes = static_cast<std::size_t>(plan_.options.threads) *
                              static_cast<std::size_t>(plan_.options.in_flight);
    const auto all = checked_mul(plan_.lane_bytes, lanes);
    if (!all)
      return Error{ErrorCode::size_overflow, "the arena does not fit this machine's addresses"};
    plan_.arena_bytes = *all;
    for (const auto& step : plan_.steps) plan_.infos.push_back(step->info);
    return {};
  }

  Plan::Impl& plan_;
  const weights::Architecture& a_;
  ArenaLayout layout_;
  Region x_ = 0, normed_ = 0, delta_ = 0;
  bool pending_ = false;      // delta_ waits to be added to x_
  std::string pending_name_;  // what x_ is called once it was, if a recorder wants it
};

}  // namespace

bool is_reference(std::string_view implementation) noexcept {
  while (!implementation.empty()) {
    const std::size_t end = std::min(implementation.find_first_of(":+, "), implementation.size());
    const std::string_view part = implementation.substr(0, end);
    if (part == "ref" || part == "reference" || part == "scalar" || part.starts_with("ref_"))
      return true;
    implementation.remove_prefix(std::min(end + 1, implementation.size()));
  }
  return false;
}

Plan::Plan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Plan::~Plan() = default;

Result<std::shared_ptr<const Plan>> Plan::create(std::shared_ptr<const Model> model,
                                                 const PlanOptions& options) {
  if (options.max_batch < 1 || options.max_batch > kMaxBatch) {
    return Error{ErrorCode::invalid_argument, "a batch of " + std::to_string(options.max_batch) +
                                                  " samples, expected 1 to " +
                                                  std::to_string(kMaxBatch)};
  }
  if (options.threads < 1 || options.threads > kMaxThreads) {
    return Error{
        ErrorCode::invalid_argument,
        std::to_string(options.threads) + " threads, expected 1 to " + std::to_string(kMaxThreads)};
  }
  if (options.in_flight < 1 || options.in_flight > kMaxInFlight) {
    return Error{ErrorCode::invalid_argument, std::to_string(options.in_flight) +
                                                  " samples in flight, expected 1 to " +
                                                  std::to_string(kMaxInFlight)};
  }
  try {
    auto impl = std::make_unique<Impl>();
    impl->model = std::move(model);
    impl->options = options;
    QAMA_RETURN_IF_ERROR(Builder(*impl).build());
    // The weights lie re-laid in memory of our own now; a table of word vectors is read on demand.
    impl->model->file().release_pages();
    return std::shared_ptr<const Plan>(new Plan(std::move(impl)));
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory, "not enough memory for the plan's weights"};
  }
}

const Model& Plan::model() const noexcept {
  return *impl_->model;
}
const std::shared_ptr<const Model>& Plan::shared_model() const noexcept {
  return impl_->model;
}
const PlanOptions& Plan::options() const noexcept {
  return impl_->options;
}
std::span<const StepInfo> Plan::steps() const noexcept {
  return impl_->infos;
}
std::span<const ArenaRegion> Plan::regions() const noexcept {
  return impl_->regions;
}
std::size_t Plan::lane_bytes() const noexcept {
  return impl_->lane_bytes;
}
std::size_t Plan::arena_bytes() const noexcept {
  return impl_->arena_bytes;
}
std::size_t Plan::weight_bytes() const noexcept {
  return impl_->weight_bytes;
}
std::int32_t Plan::qama_layers() const noexcept {
  return impl_->qama_layers;
}
bool Plan::uses_factors() const noexcept {
  return impl_->factors_shape.tokens > 0;
}

}  // namespace qama::runtime
