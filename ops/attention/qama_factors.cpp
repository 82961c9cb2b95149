#include "ops/attention/qama_factors.h"

#include <algorithm>
#include <vector>

#include "ops/attention/qama_affine.h"

namespace qama::ops {

namespace {

/// P and M of one head as rows, and P and -M.
void bilinear_rows(const QamaFrontSpec& spec, std::int64_t tokens, const LongFactorArgs& a,
                   float* negated) {
  const std::int64_t width = long_factor_width(spec.rank());
  const float unit = bilinear_unit(spec.dim_head);
  std::fill(a.factors, a.factors + tokens * width, 0.0F);
  std::fill(negated, negated + tokens * width, 0.0F);
  for (std::int64_t i = 0; i < tokens; ++i) {
    const float* q = a.q + i * a.stride;
    const float* k = a.k + i * a.stride;
    float* left = a.factors + i * width;
    float* right = negated + i * width;
    for (std::int64_t d = 0; d < spec.dim_head; ++d) {
      left[d] = right[d] = unit * (q[d] + k[d]);
      left[spec.dim_head + d] = unit * (q[d] - k[d]);
      right[spec.dim_head + d] = -left[spec.dim_head + d];
    }
  }
}

/// w.energies of head t: -s_i (scale (sum_d +-F_id (z_d - F_id)) + fields_i), z = sum_j s_j F_j.
void bilinear_energies(const QamaFrontSpec& spec, std::int64_t tokens, std::int64_t t,
                       const double* fields, const QamaWorkspace& w) noexcept {
  const std::int64_t stride = token_stride(tokens);
  const std::int64_t rank = spec.rank();
  const std::int64_t width = long_factor_width(rank);
  const float* rows = w.factor_rows + t * tokens * width;
  const std::uint64_t* spins = w.spins + t * (stride / 64);
  const auto selected = [&](std::int64_t i) { return (spins[i / 64] >> (i % 64) & 1U) != 0; };
  double* z = w.factor_scratch;
  std::fill(z, z + rank, 0.0);
  for (std::int64_t i = 0; i < tokens; ++i) {
    if (!selected(i)) continue;
    for (std::int64_t d = 0; d < rank; ++d) z[d] += static_cast<double>(rows[i * width + d]);
  }
  double* energies = w.energies + t * stride;
  std::fill(energies, energies + stride, 0.0);
  for (std::int64_t i = 0; i < tokens; ++i) {
    if (!selected(i)) continue;
    double halves[2] = {};
    for (int half = 0; half < 2; ++half) {
      for (std::int64_t d = half * spec.dim_head; d < (half + 1) * spec.dim_head; ++d) {
        const auto f = static_cast<double>(rows[i * width + d]);
        halves[half] += f * (z[d] - f);
      }
    }
    energies[i] = -(w.constants[t] * (halves[0] - halves[1]) + fields[i]);
  }
}

}  // namespace

void qama_factors_front(const QamaFrontSpec& spec, std::int64_t tokens, const float* qkh,
                        const QamaWorkspace& w, const KernelTable& kernels,
                        hal::FactorsView& problem) {
  const std::int64_t inner = spec.heads * spec.dim_head;
  const std::int64_t row = 2 * inner + spec.heads;
  const std::int64_t stride = token_stride(tokens);
  const std::int64_t width = long_factor_width(spec.rank());
  const bool bilinear = spec.coupling == QamaCoupling::bilinear;
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
    if (bilinear) {
      bilinear_rows(spec, tokens, factors, w.factor_signed + t * tokens * width);
    } else {
      kernels.qama_factors_factors(factors);
    }

    Affine coupling{at(spec.coupling_scale, t), at(spec.coupling_shift, t)};
    if (per_instance) {
      coupling = standardised(factors.sum, factors.sum_squares, n * (n - 1.0), spec.eps, coupling);
    }
    w.constants[t] = coupling.scale;
    w.constants[spec.heads + t] = coupling.shift;
    w.factor_constants[t] = static_cast<float>(spec.pair * coupling.scale);
    w.factor_constants[spec.heads + t] = static_cast<float>(spec.pair * coupling.shift);

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
      w.factor_fields[t * tokens + i] = static_cast<float>(fields[i]);
    }
    std::fill(fields + tokens, fields + stride, 0.0);
  }
  problem = {};
  problem.shape = {static_cast<std::int32_t>(spec.heads), static_cast<std::int32_t>(tokens)};
  problem.rank = static_cast<std::int32_t>(width);
  problem.left = w.factor_rows;
  problem.right = bilinear ? w.factor_signed : w.factor_rows;
  problem.scale = w.factor_constants;
  problem.shift = w.factor_constants + spec.heads;
  problem.fields = w.factor_fields;
  problem.penalty = static_cast<float>(spec.lambda(tokens));
}

void qama_factors_energies(const QamaFrontSpec& spec, std::int64_t tokens, const QamaWorkspace& w,
                           const KernelTable& kernels) noexcept {
  const std::int64_t stride = token_stride(tokens);
  const std::int64_t width = long_factor_width(spec.rank());
  const double* fields = spec.output_rho ? w.real_fields : w.plain_fields;
  for (std::int64_t t = 0; t < spec.heads; ++t) {
    if (spec.coupling == QamaCoupling::bilinear) {
      bilinear_energies(spec, tokens, t, fields + t * stride, w);
      continue;
    }
    kernels.qama_factors_energies({.tokens = tokens,
                                   .dim_head = spec.dim_head,
                                   .factors = w.factor_rows + t * tokens * width,
                                   .fields = fields + t * stride,
                                   .spins = w.spins + t * (stride / 64),
                                   .scale = w.constants[t],
                                   .shift = w.constants[spec.heads + t],
                                   .energies = w.energies + t * stride,
                                   .scratch = w.factor_scratch});
  }
}

}  // namespace qama::ops
