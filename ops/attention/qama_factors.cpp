#include "ops/attention/qama_factors.h"

#include <algorithm>
#include <vector>

#include "ops/attention/qama_affine.h"

namespace qama::ops {

void qama_factors_front(const QamaFrontSpec& spec, std::int64_t tokens, const float* qkh,
                        const QamaWorkspace& w, const KernelTable& kernels,
                        hal::FactorsView& problem) {
  const std::int64_t inner = spec.heads * spec.dim_head;
  const std::int64_t row = 2 * inner + spec.heads;
  const std::int64_t stride = token_stride(tokens);
  const std::int64_t width = long_factor_width(spec.dim_head);
  const bool per_instance = spec.normalisation == QamaNormalisation::instance;
  const auto n = static_cast<double>(tokens);
  const double rho = spec.rho(tokens);
  for (std::int64_t t = 0; t < spec.heads; ++t) {
    LongFactorArgs factors;
    factors.tokens = tokens;
    factors.dim_head = spec.dim_head;
    factors.q = qkh + t * spec.dim_head;
    factors.k = qkh + inner + t * spec.dim_head;
    factors.stride = row;
    factors.factors = w.factor_rows + t * tokens * width;
    factors.scratch = w.factor_scratch;
    factors.statistics = per_instance;
    kernels.qama_factors_factors(factors);

    Affine coupling{at(spec.coupling_scale, t), at(spec.coupling_shift, t)};
    if (per_instance) {
      coupling = standardised(factors.sum, factors.sum_squares, n * (n - 1.0), spec.eps, coupling);
    }
    w.constants[t] = coupling.scale;
    w.constants[spec.heads + t] = coupling.shift;
    w.factor_constants[t] = static_cast<float>(coupling.scale);
    w.factor_constants[spec.heads + t] = static_cast<float>(coupling.shift);

    const float* h = qkh + 2 * inner + t;
    const Affine field = field_affine(h, tokens, row, per_instance, spec.eps,
                                      {at(spec.field_scale, t), at(spec.field_shift, t)});
    double* fields = w.real_fields + t * stride;
    for (std::int64_t i = 0; i < tokens; ++i) {
      fields[i] = rho * (field.scale * static_cast<double>(h[i * row]) + field.shift);
      w.factor_fields[t * tokens + i] = static_cast<float>(fields[i]);
    }
    std::fill(fields + tokens, fields + stride, 0.0);
  }
  problem = {};
  problem.shape = {static_cast<std::int32_t>(spec.heads), static_cast<std::int32_t>(tokens)};
  problem.rank = static_cast<std::int32_t>(width);
  problem.left = w.factor_rows;
  problem.right = w.factor_rows;
  problem.scale = w.factor_constants;
  problem.shift = w.factor_constants + spec.heads;
  problem.fields = w.factor_fields;
  problem.penalty = static_cast<float>(spec.lambda(tokens));
}

void qama_factors_energies(const QamaFrontSpec& spec, std::int64_t tokens, const QamaWorkspace& w,
                           const KernelTable& kernels) noexcept {
  const std::int64_t stride = token_stride(tokens);
  const std::int64_t width = long_factor_width(spec.dim_head);
  for (std::int64_t t = 0; t < spec.heads; ++t) {
    kernels.qama_factors_energies({.tokens = tokens,
                                   .dim_head = spec.dim_head,
                                   .factors = w.factor_rows + t * tokens * width,
                                   .fields = w.real_fields + t * stride,
                                   .spins = w.spins + t * (stride / 64),
                                   .scale = w.constants[t],
                                   .shift = w.constants[spec.heads + t],
                                   .energies = w.energies + t * stride,
                                   .scratch = w.factor_scratch});
  }
}

}  // namespace qama::ops
