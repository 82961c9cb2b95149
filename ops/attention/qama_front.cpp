#include "ops/attention/qama_front.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/attention/qama_affine.h"

namespace qama::ops {

double QamaFrontSpec::rho(std::int64_t tokens) const noexcept {
  return static_cast<double>(tokens) * rho0;
}

double QamaFrontSpec::lambda(std::int64_t tokens) const noexcept {
  if (heads < 2) return 0.0;
  return static_cast<double>(tokens) * std::sqrt(2.0 / std::numbers::pi) /
         static_cast<double>(heads - 1) * gamma0;
}

namespace {

/// P and M of one head, [2 dim_head][stride], 0 behind the tokens.
void bilinear_factors(const QamaFrontSpec& spec, std::int64_t tokens, const float* q,
                      const float* k, std::int64_t row, float* out) {
  const std::int64_t stride = token_stride(tokens);
  const float unit = bilinear_unit(spec.dim_head);
  for (std::int64_t d = 0; d < spec.dim_head; ++d) {
    float* plus = out + d * stride;
    float* minus = out + (spec.dim_head + d) * stride;
    for (std::int64_t i = 0; i < tokens; ++i) {
      plus[i] = unit * (q[i * row + d] + k[i * row + d]);
      minus[i] = unit * (q[i * row + d] - k[i * row + d]);
    }
    std::fill(plus + tokens, plus + stride, 0.0F);
    std::fill(minus + tokens, minus + stride, 0.0F);
  }
}

/// couplings -= subtracted, [tokens][stride], both symmetric; sums: of the columns' magnitudes.
void subtract(std::int64_t tokens, const float* subtracted, float* couplings, float* sums) {
  const std::int64_t stride = token_stride(tokens);
  std::fill(sums, sums + stride, 0.0F);
  for (std::int64_t i = 0; i < tokens; ++i) {
    for (std::int64_t j = 0; j < stride; ++j) {
      couplings[i * stride + j] -= subtracted[i * stride + j];
      sums[j] += std::fabs(couplings[i * stride + j]);
    }
  }
}

/// J' of head t, from its factors and constants; into w.scratch, the sums of its columns'
/// magnitudes.
void real_couplings(const QamaFrontSpec& spec, std::int64_t tokens, std::int64_t t,
                    const QamaWorkspace& w, const KernelTable& kernels) {
  const std::int64_t stride = token_stride(tokens);
  const std::int64_t places = spec.spares_memory ? 1 : spec.heads;
  const float* factors = w.factors + t * spec.rank() * stride;
  float* couplings = w.real_couplings + (spec.spares_memory ? 0 : t) * tokens * stride;
  auto* sums = reinterpret_cast<float*>(w.scratch);
  const auto scale = static_cast<float>(spec.pair * w.constants[t]);
  kernels.qama_couplings({.tokens = tokens,
                          .dim_head = spec.dim_head,
                          .factors = factors,
                          .scale = scale,
                          .shift = static_cast<float>(spec.pair * w.constants[spec.heads + t]),
                          .couplings = couplings,
                          .sums = sums});
  if (spec.coupling != QamaCoupling::bilinear) return;
  float* subtracted = w.real_couplings + places * tokens * stride;
  kernels.qama_couplings({.tokens = tokens,
                          .dim_head = spec.dim_head,
                          .factors = factors + spec.dim_head * stride,
                          .scale = scale,
                          .shift = 0,
                          .couplings = subtracted,
                          .sums = sums});
  subtract(tokens, subtracted, couplings, sums);
}

}  // namespace

Status qama_front(const QamaFrontSpec& spec, std::int64_t tokens, const float* qkh,
                  const QamaWorkspace& w, const KernelTable& kernels, hal::DenseView& problem) {
  const std::int64_t inner = spec.heads * spec.dim_head;
  const std::int64_t row = 2 * inner + spec.heads;
  const std::int64_t stride = token_stride(tokens);
  const double rho = spec.rho(tokens);
  const double lambda = spec.lambda(tokens);
  const double penalty_sum = lambda * static_cast<double>(spec.heads - 1);
  const bool bilinear = spec.coupling == QamaCoupling::bilinear;
  const bool per_instance = spec.normalisation == QamaNormalisation::instance;
  const auto n = static_cast<double>(tokens);
  auto* sums = reinterpret_cast<float*>(w.scratch);

  double largest_sum = 0;
  bool finite = true;
  for (std::int64_t t = 0; t < spec.heads; ++t) {
    float* factors = w.factors + t * spec.rank() * stride;
    const float* q = qkh + t * spec.dim_head;
    const float* k = qkh + inner + t * spec.dim_head;
    if (bilinear) {
      bilinear_factors(spec, tokens, q, k, row, factors);
    } else {
      kernels.qama_factors({.tokens = tokens,
                            .dim_head = spec.dim_head,
                            .q = q,
                            .k = k,
                            .stride = row,
                            .factors = factors,
                            .scratch = w.scratch});
    }
    Affine coupling{at(spec.coupling_scale, t), at(spec.coupling_shift, t)};
    if (per_instance) {
      QamaMomentArgs moments{.tokens = tokens, .dim_head = spec.dim_head, .factors = factors};
      kernels.qama_moments(moments);
      coupling = standardised(moments.sum, moments.sum_squares, n * (n - 1.0), spec.eps, coupling);
    }
    w.constants[t] = coupling.scale;
    w.constants[spec.heads + t] = coupling.shift;
    real_couplings(spec, tokens, t, w, kernels);

    const float* h = qkh + 2 * inner + t;
    const Affine field = field_affine(h, tokens, row, per_instance, spec.eps,
                                      {at(spec.field_scale, t), at(spec.field_shift, t)});
    double* fields = w.real_fields + t * stride;
    if (!spec.output_rho) {
      plain_fields(field, tokens, h, row,
                   {w.plain_fields + t * stride, static_cast<std::size_t>(stride)});
    }
    for (std::int64_t i = 0; i < tokens; ++i) {
      fields[i] = rho * (field.scale * static_cast<double>(h[i * row]) + field.shift);
      const double sum = static_cast<double>(sums[i]) + std::fabs(fields[i]) + penalty_sum;
      // NaN compares false with everything, so it is looked for by itself.
      finite = finite && std::isfinite(sum);
      largest_sum = std::max(largest_sum, sum);
    }
    std::fill(fields + tokens, fields + stride, 0.0);
  }
  if (!finite) {
    return Error{
        ErrorCode::problem_bad_value,
        "a layer's couplings or fields are not finite: the input or the weights are out of range"};
  }

  // See hal/lower/problem_builder.cpp: each of the rounded numbers may add a half. The sums were
  // added up as floats, which may lose a unit in the last place each time.
  largest_sum *= 1.0 + n * 6e-8;
  const double room = 32765.0 - 0.5 * static_cast<double>(tokens + spec.heads);
  const double scale = largest_sum > 0 ? room / largest_sum : 1.0;
  const std::int64_t heads_at_once = spec.spares_memory ? 1 : spec.heads;
  for (std::int64_t t = 0; t < spec.heads; t += heads_at_once) {
    if (spec.spares_memory) real_couplings(spec, tokens, t, w, kernels);
    kernels.qama_quantise({.count = heads_at_once * tokens * stride,
                           .couplings = w.real_couplings,
                           .scale = static_cast<float>(scale),
                           .out = w.couplings + t * tokens * stride});
  }
  for (std::int64_t i = 0; i < spec.heads * stride; ++i) {
    w.fields[i] = static_cast<std::int16_t>(std::lrint(w.real_fields[i] * scale));
  }
  problem = {};
  problem.shape = {static_cast<std::int32_t>(spec.heads), static_cast<std::int32_t>(tokens)};
  problem.couplings = w.couplings;
  problem.fields = w.fields;
  problem.penalty = static_cast<std::int16_t>(std::lrint(lambda * scale));
  problem.scale = scale;
  return {};
}

}  // namespace qama::ops
