#include "runtime/engine/builder.h"

#include <algorithm>

#include "hal/base/checked.h"
#include "ops/simd/kernels.h"
#include "weights/int8.h"

namespace qama::runtime {
namespace {

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

/// A matrix in int8 that is not as the model file has it.
struct Quantised {
  std::vector<std::int8_t> values;
  std::vector<float> scales;

  Quantised(std::span<const float> matrix, std::size_t columns)
      : values(matrix.size()), scales(matrix.size() / columns) {
    for (std::size_t r = 0; r < scales.size(); ++r) {
      weights::quantise_row(matrix.subspan(r * columns, columns),
                            std::span(values).subspan(r * columns, columns), scales[r]);
    }
  }
};

}  // namespace

std::string simd_name() {
  return "simd:" + std::string(ops::best_kernels().name);
}

Builder::Builder(const Model& model, bool factors, Pipeline& pipeline)
    : model_(model), factors_(factors), pipeline_(pipeline) {}

Status Builder::start() {
  const weights::Architecture& a = architecture();
  QAMA_ASSIGN_OR_RETURN(pipeline_.factory, ops::LinearFactory::create());
  pipeline_.rows = row_variants(a);
  QAMA_ASSIGN_OR_RETURN(x, region("x", {a.tokens(), a.dim}));
  QAMA_ASSIGN_OR_RETURN(normed, region("normed", {a.tokens(), a.dim}));
  QAMA_ASSIGN_OR_RETURN(delta, region("delta", {a.tokens(), a.dim}));
  return {};
}

Status Builder::finish() {
  QAMA_ASSIGN_OR_RETURN(pipeline_.lane_bytes, layout_.place());
  for (const ArenaLayout::Region& region : layout_.regions()) {
    pipeline_.offsets.push_back(region.offset);
    if (region.bytes > 0) pipeline_.regions.push_back({region.name, region.offset, region.bytes});
  }
  for (const auto& step : pipeline_.steps) pipeline_.infos.push_back(step->info);
  return {};
}

Result<ops::LayerNorm> Builder::layer_norm(const std::string& tensor, std::optional<double> eps) {
  std::span<const float> gamma;
  std::span<const float> beta;
  std::vector<float> plain;
  if (tensor.empty()) {
    const auto dim = static_cast<std::size_t>(architecture().dim);
    plain.assign(2 * dim, 0.0F);
    std::fill_n(plain.begin(), dim, 1.0F);
    gamma = std::span(plain).first(dim);
    beta = std::span(plain).last(dim);
  } else {
    QAMA_ASSIGN_OR_RETURN(gamma, weight(tensor + ".weight"));
    QAMA_ASSIGN_OR_RETURN(beta, weight(tensor + ".bias"));
  }
  auto norm = ops::LayerNorm::create(gamma, beta, eps.value_or(architecture().norm_eps));
  if (norm.ok()) pipeline_.weight_bytes += norm->weight_bytes();
  return norm;
}

Result<std::size_t> Builder::add_region(std::string name,
                                        std::initializer_list<std::int64_t> extents,
                                        std::size_t element) {
  std::size_t count = 1;
  for (const std::int64_t extent : extents) {
    const auto product = checked_mul<std::size_t>(count, extent);
    if (!product) return Error{ErrorCode::size_overflow, "'" + name + "' has too many elements"};
    count = *product;
  }
  return layout_.add(std::move(name), count, element);
}

Result<std::span<const float>> Builder::weight(const std::string& name) const {
  QAMA_ASSIGN_OR_RETURN(const weights::Int8Matrix matrix,
                        weights::int8_matrix(model_.file(), name));
  if (matrix.empty()) return model_.file().f32(name);
  AlignedBuffer<float>& floats = widened_.emplace_back(matrix.values.size());
  weights::widen(matrix, floats.span());
  return std::span<const float>(floats.span());
}

Result<std::unique_ptr<ops::Linear>> Builder::make_linear(const LinearUse& use,
                                                          const ops::LinearSpec& spec,
                                                          std::span<const float> bias) {
  if (use.int8) {
    const Quantised own(use.weights, static_cast<std::size_t>(use.in));
    return ops::Linear::create_int8(spec, {own.values, own.scales}, bias);
  }
  std::span<const float> floats = use.weights;
  if (floats.empty()) {
    const std::string name = use.tensor + ".weight";
    QAMA_ASSIGN_OR_RETURN(const weights::Int8Matrix matrix,
                          weights::int8_matrix(model_.file(), name));
    if (!matrix.empty()) {
      return ops::Linear::create_int8(spec, {matrix.values, matrix.scales}, bias);
    }
    QAMA_ASSIGN_OR_RETURN(floats, weight(name));
  }
  return ops::Linear::create(*pipeline_.factory, spec, floats, bias);
}

Status Builder::add_linear(const LinearUse& use) {
  std::span<const float> bias = use.biases;
  if (use.bias) {
    QAMA_ASSIGN_OR_RETURN(bias, weight(use.tensor + ".bias"));
  }
  const ops::LinearSpec spec{use.in, use.out, !bias.empty(), use.activation,
                             use.rows.empty() ? pipeline_.rows : use.rows};
  const bool shares = use.block >= 0 && architecture().groups() < architecture().depth;
  std::shared_ptr<const ops::Linear> op;
  if (shares) op = shared_[use.tensor];
  if (op == nullptr) {
    QAMA_ASSIGN_OR_RETURN(op, make_linear(use, spec, bias));
    pipeline_.weight_bytes += op->weight_bytes();
    if (shares) shared_[use.tensor] = op;
  }
  QAMA_ASSIGN_OR_RETURN(
      const auto scratch,
      region<std::byte>(use.name + ".scratch", {static_cast<std::int64_t>(op->scratch_bytes())}));
  StepInfo info{use.name, use.activation == ops::Activation::none ? "linear" : "linear+gelu",
                op->implementation(), use.block, op->spec().rows.back() * use.in * use.out};
  auto step = std::make_unique<LinearStep>(std::move(info), op, pipeline_.linear_steps.size(),
                                           use.from, use.to, scratch);
  pipeline_.linear_steps.push_back(step.get());
  add_step(std::move(step), use.from, use.to, scratch);
  return {};
}

Status Builder::add_norm(std::string name, const std::string& tensor, std::int32_t block) {
  QAMA_ASSIGN_OR_RETURN(auto norm, layer_norm(tensor));
  StepInfo info{std::move(name), pending_ ? "residual+layer_norm" : "layer_norm", simd_name(),
                block};
  if (pending_) {
    add(
        std::move(info),
        [norm = std::move(norm)](SampleRun& run, float* stream, const float* added, float* out) {
          norm.run_residual(run.rows, stream, added, out);
        },
        x, delta, normed);
  } else {
    add(
        std::move(info),
        [norm = std::move(norm)](SampleRun& run, const float* stream, float* out) {
          norm.run(run.rows, stream, out);
        },
        x, normed);
  }
  if (!pending_name_.empty()) tap(pending_name_, x, architecture().dim);
  pending_ = false;
  pending_name_.clear();
  return {};
}

void Builder::leave_delta(std::string name) {
  pending_ = true;
  pending_name_ = std::move(name);
}

void Builder::tap(std::string name, Region<float> region, std::int64_t dim, bool per_token) {
  pipeline_.steps.back()->taps.push_back({std::move(name), region, dim, per_token});
}

}  // namespace qama::runtime
