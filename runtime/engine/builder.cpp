#include "runtime/engine/builder.h"

#include <algorithm>

#include "hal/base/checked.h"
#include "ops/simd/half_linear.h"
#include "ops/simd/kernels.h"
#include "weights/half.h"
#include "weights/int8.h"
#include "weights/panels.h"

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

/// Calls body(offset of the first row, number of rows) for shares of the sample's rows of `dim`
/// numbers.
template <typename Body>
void share_rows(const SampleRun& run, std::int64_t dim, const Body& body) {
  constexpr std::int64_t kMacsANumber =
      200;  // as much time as a norm takes [measured: some 0.3 ns]
  const std::int32_t shares = shares_of(run.rows, run.rows * dim * kMacsANumber);
  share_out(run, shares, [&](std::int32_t share, std::int32_t /*thread*/) {
    const RowShare part = row_share(run.rows, shares, share);
    body(part.first * dim, part.count);
  });
}

}  // namespace

std::string simd_name() {
  return "simd:" + std::string(ops::best_kernels().name);
}

Builder::Builder(const Model& model, bool factors, std::int32_t sample_threads, Pipeline& pipeline)
    : model_(model), factors_(factors), sample_threads_(sample_threads), pipeline_(pipeline) {}

Status Builder::start() {
  const weights::Architecture& a = architecture();
  QAMA_ASSIGN_OR_RETURN(pipeline_.factory, ops::LinearFactory::create());
  pipeline_.rows = row_variants(a);
  QAMA_ASSIGN_OR_RETURN(x, region("x", {a.tokens(), a.dim}));
  return {};
}

Status Builder::finish() {
  QAMA_ASSIGN_OR_RETURN(pipeline_.lane_bytes, layout_.place());
  for (const ArenaLayout::Region& region : layout_.regions()) {
    pipeline_.offsets.push_back(region.offset);
    if (region.bytes > 0 && !spares_memory)
      pipeline_.regions.push_back({region.name, region.offset, region.bytes});
  }
  if (spares_memory) return {};
  for (const auto& step : pipeline_.steps) pipeline_.infos.push_back(step->info);
  return {};
}

Result<ops::LayerNorm> Builder::layer_norm(const std::string& tensor, std::optional<double> eps) {
  std::span<const float> gamma;
  std::span<const float> beta;
  if (tensor.empty()) {
    const auto dim = static_cast<std::size_t>(architecture().dim);
    AlignedBuffer<float>& plain = pipeline_.constants.emplace_back(2 * dim);
    std::fill_n(plain.data(), dim, 1.0F);
    std::fill_n(plain.data() + dim, dim, 0.0F);
    pipeline_.weight_bytes += plain.size() * sizeof(float);
    const std::span<const float> both = plain.span();
    gamma = both.first(dim);
    beta = both.last(dim);
  } else {
    QAMA_ASSIGN_OR_RETURN(gamma, constant(tensor + ".weight"));
    QAMA_ASSIGN_OR_RETURN(beta, constant(tensor + ".bias"));
  }
  return ops::LayerNorm::create(gamma, beta, eps.value_or(architecture().norm_eps));
}

Result<std::size_t> Builder::add_region(std::string name,
                                        std::initializer_list<std::int64_t> extents,
                                        std::size_t element) {
  std::int64_t count = 1;
  for (const std::int64_t extent : extents) {
    const auto product = checked_mul(count, extent);
    if (!product || static_cast<std::uint64_t>(*product) > SIZE_MAX) {
      return Error{ErrorCode::size_overflow, "'" + name + "' has too many elements"};
    }
    count = *product;
  }
  return layout_.add(spares_memory ? std::string() : std::move(name),
                     static_cast<std::size_t>(count), element);
}

Result<std::span<const float>> Builder::weight(const std::string& name) const {
  QAMA_ASSIGN_OR_RETURN(const weights::Int8Matrix matrix,
                        weights::int8_matrix(model_.file(), name));
  if (matrix.empty()) return model_.file().f32(name);
  AlignedBuffer<float>& floats = widened_.emplace_back(matrix.values.size());
  weights::widen(matrix, floats.span());
  return std::span<const float>(floats.span());
}

Result<std::span<const float>> Builder::constant(const std::string& name) {
  QAMA_ASSIGN_OR_RETURN(const auto stored, weight(name));
  pipeline_.weight_bytes += stored.size_bytes();
  if (spares_memory) {
    QAMA_ASSIGN_OR_RETURN(const weights::TensorView* tensor, model_.file().tensor(name));
    if (tensor->dtype == weights::Dtype::f32) return stored;
  }
  AlignedBuffer<float>& copy = pipeline_.constants.emplace_back(stored.size());
  std::copy(stored.begin(), stored.end(), copy.data());
  return std::span<const float>(copy.span());
}

bool Builder::in_panels(const std::string& tensor) const {
  return model_.file().tensor(weights::panels_of(tensor)).ok();
}

Result<std::unique_ptr<ops::Linear>> Builder::make_linear(const LinearUse& use,
                                                          const ops::LinearSpec& spec,
                                                          std::span<const float> bias) {
  if (in_panels(use.tensor)) {
    QAMA_ASSIGN_OR_RETURN(const weights::Panels panels, weights::panels(model_.file(), use.tensor));
    return ops::Linear::from_panels(
        spec, {panels.width, panels.floats, panels.int8.values, panels.int8.scales, panels.bias});
  }
  MadeLinear made{use.tensor, use.in, use.out, use.weights, {}, bias};
  std::optional<Quantised> own;
  weights::HalfMatrix half;
  auto kind = ops::Half::bf16;
  if (use.int8) {
    own.emplace(use.weights, static_cast<std::size_t>(use.in));
    made.int8 = {own->values, own->scales};
  } else if (use.weights.empty()) {
    const std::string name = use.tensor + ".weight";
    QAMA_ASSIGN_OR_RETURN(const weights::Int8Matrix matrix,
                          weights::int8_matrix(model_.file(), name));
    made.int8 = {matrix.values, matrix.scales};
    if (architecture().half_products) {
      QAMA_ASSIGN_OR_RETURN(half, weights::half_matrix(model_.file(), name));
      if (half.dtype == weights::Dtype::f16) kind = ops::Half::f16;
      if (ops::half_linear_kernels(kind).empty()) half = {};
    }
    if (matrix.empty() && (half.values.empty() || on_linear)) {
      QAMA_ASSIGN_OR_RETURN(made.floats, weight(name));
    }
  }
  if (on_linear) on_linear(made);
  if (!made.int8.values.empty()) return ops::Linear::create_int8(spec, made.int8, bias);
  if (!half.values.empty()) return ops::Linear::create_half(spec, {half.values, kind}, bias);
  return ops::Linear::create(*pipeline_.factory, spec, made.floats, bias);
}

Status Builder::add_linear(const LinearUse& use) {
  std::span<const float> bias = use.biases;
  if (use.bias && !in_panels(use.tensor)) {
    QAMA_ASSIGN_OR_RETURN(bias, weight(use.tensor + ".bias"));
  }
  const std::vector<std::int64_t>& rows = use.rows.empty() ? pipeline_.rows : use.rows;
  const ops::LinearSpec spec{use.in, use.out, !bias.empty(), use.activation,
                             LinearStep::sizes(rows, use.in, use.out)};
  const bool shares = use.block >= 0 && architecture().groups() < architecture().depth;
  std::shared_ptr<const ops::Linear> op;
  if (shares) op = shared_[use.tensor];
  if (op == nullptr) {
    QAMA_ASSIGN_OR_RETURN(op, make_linear(use, spec, bias));
    pipeline_.weight_bytes += op->weight_bytes();
    if (shares) shared_[use.tensor] = op;
  }
  // Threads that run shares side by side have scratch memory of their own.
  const std::int32_t side_by_side =
      sample_threads_ > 1 ? LinearStep::shares(rows.back(), use.in, use.out) : 1;
  const std::size_t scratch_bytes =
      (op->scratch_bytes() + kAlignment - 1) / kAlignment * kAlignment;
  QAMA_ASSIGN_OR_RETURN(
      const auto scratch,
      region<std::byte>(use.name + ".scratch",
                        {side_by_side, static_cast<std::int64_t>(scratch_bytes)}));
  StepInfo info{use.name, use.activation == ops::Activation::none ? "linear" : "linear+gelu",
                op->implementation(), use.block, rows.back() * use.in * use.out};
  auto step =
      std::make_unique<LinearStep>(std::move(info), op, pipeline_.linear_steps.size(), rows,
                                   use.from, use.to, scratch, side_by_side > 1 ? scratch_bytes : 0);
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
          share_rows(run, norm.dim(), [&](std::int64_t at, std::int64_t rows) {
            norm.run_residual(rows, stream + at, added + at, out + at);
          });
        },
        x, delta, normed);
  } else {
    add(
        std::move(info),
        [norm = std::move(norm)](SampleRun& run, const float* stream, float* out) {
          share_rows(run, norm.dim(), [&](std::int64_t at, std::int64_t rows) {
            norm.run(rows, stream + at, out + at);
          });
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
  if (spares_memory) return;
  pipeline_.steps.back()->taps.push_back({std::move(name), region, dim, per_token});
}

}  // namespace qama::runtime
