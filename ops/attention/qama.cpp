#include "ops/attention/qama.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace qama::ops {
namespace {

Error bad_size(const char* what, std::size_t got, std::size_t expected) {
  return {ErrorCode::invalid_argument, std::string("QAMA: ") + what + " has " +
                                           std::to_string(got) + " elements, expected " +
                                           std::to_string(expected)};
}

/// w_eps of head t, whether there is one for all heads or one each.
std::span<const float> head_w_eps(std::span<const float> w_eps, std::int64_t t,
                                  std::int64_t dim_head) {
  const auto d = static_cast<std::size_t>(dim_head);
  return w_eps.size() == d ? w_eps : w_eps.subspan(static_cast<std::size_t>(t) * d, d);
}

}  // namespace

Result<AlignedBuffer<float>> fold_qkh(std::span<const float> qkv, std::span<const float> w_eps,
                                      std::int64_t heads, std::int64_t dim_head, std::int64_t dim) {
  const std::int64_t inner = heads * dim_head;
  if (static_cast<std::int64_t>(qkv.size()) != 3 * inner * dim) {
    return bad_size("qkv", qkv.size(), static_cast<std::size_t>(3 * inner * dim));
  }
  if (static_cast<std::int64_t>(w_eps.size()) != dim_head &&
      static_cast<std::int64_t>(w_eps.size()) != inner) {
    return bad_size("w_eps", w_eps.size(), static_cast<std::size_t>(inner));
  }
  AlignedBuffer<float> out(static_cast<std::size_t>((2 * inner + heads) * dim));
  std::copy_n(qkv.data(), 2 * inner * dim, out.data());
  for (std::int64_t t = 0; t < heads; ++t) {
    const auto w = head_w_eps(w_eps, t, dim_head);
    for (std::int64_t c = 0; c < dim; ++c) {
      double sum = 0;
      for (std::int64_t d = 0; d < dim_head; ++d) {
        sum += static_cast<double>(w[static_cast<std::size_t>(d)]) *
               static_cast<double>(
                   qkv[static_cast<std::size_t>((2 * inner + t * dim_head + d) * dim + c)]);
      }
      out[static_cast<std::size_t>((2 * inner + t) * dim + c)] = static_cast<float>(sum);
    }
  }
  return out;
}

Result<AlignedBuffer<float>> fold_norms(std::span<const float> qkv, const OwnNorms& norms,
                                        std::int64_t inner, std::int64_t dim) {
  const auto columns = static_cast<std::size_t>(dim);
  const auto rows = static_cast<std::size_t>(inner);
  if (qkv.size() != 3 * rows * columns) return bad_size("qkv", qkv.size(), 3 * rows * columns);
  for (int part = 0; part < 3; ++part) {
    for (const auto& span : {norms.scales[part], norms.shifts[part]}) {
      if (span.size() != columns) return bad_size("norm", span.size(), columns);
    }
  }
  AlignedBuffer<float> out(3 * rows * (columns + 1));
  for (std::size_t row = 0; row < 3 * rows; ++row) {
    const std::size_t part = row / rows;
    double bias = 0;
    for (std::size_t c = 0; c < columns; ++c) {
      const float weight = qkv[row * columns + c];
      out[row * (columns + 1) + c] = weight * norms.scales[part][c];
      bias += static_cast<double>(weight) * static_cast<double>(norms.shifts[part][c]);
    }
    out[row * (columns + 1) + columns] = static_cast<float>(bias);
  }
  return out;
}

Result<std::unique_ptr<QamaAttention>> QamaAttention::create(const QamaSpec& spec,
                                                             const KernelTable& kernels) {
  const std::int64_t heads = spec.front.heads;
  const std::int64_t dim_head = spec.front.dim_head;
  const auto h = static_cast<std::size_t>(heads);
  const auto inner = static_cast<std::size_t>(heads * dim_head);
  const auto dim = static_cast<std::size_t>(spec.dim);
  const bool layer = spec.energy_norm == QamaEnergyNorm::layer;
  const bool batch = spec.energy_norm == QamaEnergyNorm::batch;
  for (const auto& [what, span] : {std::pair{"coupling scale", spec.front.coupling_scale},
                                   {"coupling shift", spec.front.coupling_shift},
                                   {"field scale", spec.front.field_scale},
                                   {"field shift", spec.front.field_shift}}) {
    if (span.size() != h) return bad_size(what, span.size(), h);
  }
  if (spec.w_eps.size() != static_cast<std::size_t>(dim_head) && spec.w_eps.size() != inner) {
    return bad_size("w_eps", spec.w_eps.size(), inner);
  }
  const bool projects = !spec.out_weight.empty();
  if (!projects && dim != inner) return bad_size("heads without a projection", inner, dim);
  if (projects && spec.out_weight.size() != dim * inner) {
    return bad_size("output projection", spec.out_weight.size(), dim * inner);
  }
  const std::size_t energy_size = layer ? inner : batch ? h : 0;
  for (const auto& span : {spec.energy_scale, spec.energy_shift}) {
    if (span.size() != energy_size) return bad_size("energy norm", span.size(), energy_size);
  }

  auto out = std::make_unique<QamaAttention>();
  out->kernels_ = &kernels;
  out->energy_norm_ = spec.energy_norm;
  out->norm_eps_ = spec.norm_eps;
  out->dim_ = spec.dim;
  out->spec_ = spec.front;
  out->constants_.resize(4 * h);
  float* constant = out->constants_.data();
  for (auto* span : {&out->spec_.coupling_scale, &out->spec_.coupling_shift,
                     &out->spec_.field_scale, &out->spec_.field_shift}) {
    std::copy(span->begin(), span->end(), constant);
    *span = {constant, h};
    constant += h;
  }

  // out_i = W (gamma .* norm(concat_t e_ti w_t) + beta) is, for every kind of norm, a sum over
  // heads of an energy times a fixed vector: table_t = W_t (gamma_t .* w_t).
  out->table_rows_ = heads + (layer ? 1 : 0);
  out->table_.resize(static_cast<std::size_t>(out->table_rows_) * dim);
  out->bias_.resize(dim);
  if (layer) out->moments_.resize(2 * h);
  for (std::size_t c = 0; c < dim; ++c) {
    const float* weight = projects ? spec.out_weight.data() + c * inner : nullptr;
    double bias = 0;
    double mean_column = 0;
    for (std::size_t t = 0; t < h; ++t) {
      const auto w = head_w_eps(spec.w_eps, static_cast<std::int64_t>(t), dim_head);
      double projected = 0;
      for (std::size_t d = 0; d < w.size(); ++d) {
        const std::size_t k = t * w.size() + d;
        const double m = projects ? static_cast<double>(weight[k]) : k == c ? 1.0 : 0.0;
        const double gamma = layer ? static_cast<double>(spec.energy_scale[k]) : 1.0;
        projected += m * gamma * static_cast<double>(w[d]);
        mean_column += m * gamma;
        if (layer) bias += m * static_cast<double>(spec.energy_shift[k]);
      }
      if (batch) {
        bias += static_cast<double>(spec.energy_shift[t]) * projected;
        projected *= static_cast<double>(spec.energy_scale[t]);
      }
      out->table_[t * dim + c] = static_cast<float>(projected);
    }
    out->bias_[c] = static_cast<float>(bias);
    if (layer) out->table_[h * dim + c] = static_cast<float>(mean_column);
  }
  if (layer) {
    for (std::size_t t = 0; t < h; ++t) {
      const auto w = head_w_eps(spec.w_eps, static_cast<std::int64_t>(t), dim_head);
      double sum = 0;
      double squares = 0;
      for (const float value : w) {
        sum += static_cast<double>(value);
        squares += static_cast<double>(value) * static_cast<double>(value);
      }
      out->moments_[t] = sum / static_cast<double>(inner);
      out->moments_[h + t] = squares / static_cast<double>(inner);
    }
  }
  return out;
}

std::size_t QamaAttention::weight_bytes() const noexcept {
  return (constants_.size() + table_.size() + bias_.size()) * sizeof(float) +
         moments_.size() * sizeof(double);
}

void QamaAttention::energies(std::int64_t tokens, const QamaWorkspace& w) const noexcept {
  const std::int64_t stride = token_stride(tokens);
  const double* fields = spec_.output_rho ? w.real_fields : w.plain_fields;
  for (std::int64_t t = 0; t < spec_.heads; ++t) {
    const float* factors = w.factors + t * spec_.rank() * stride;
    kernels_->qama_energies({.tokens = tokens,
                             .dim_head = spec_.dim_head,
                             .factors = factors,
                             .fields = fields + t * stride,
                             .spins = w.spins + t * (stride / 64),
                             .scale = w.constants[t],
                             .shift = w.constants[spec_.heads + t],
                             .energies = w.energies + t * stride,
                             .scratch = w.project});
    if (spec_.coupling != QamaCoupling::bilinear) continue;
    // What the second half of the factors subtracts, without fields and shift.
    double* subtracted = w.project + stride;
    double* nothing = w.project + 2 * stride;
    std::fill(nothing, nothing + stride, 0.0);
    kernels_->qama_energies({.tokens = tokens,
                             .dim_head = spec_.dim_head,
                             .factors = factors + spec_.dim_head * stride,
                             .fields = nothing,
                             .spins = w.spins + t * (stride / 64),
                             .scale = -w.constants[t],
                             .shift = 0,
                             .energies = subtracted,
                             .scratch = w.project});
    for (std::int64_t i = 0; i < stride; ++i) w.energies[t * stride + i] += subtracted[i];
  }
}

void QamaAttention::project(std::int64_t tokens, const QamaWorkspace& w,
                            float* out) const noexcept {
  const double* energies = w.energies;
  if (energy_norm_ == QamaEnergyNorm::layer) {
    const std::int64_t stride = token_stride(tokens);
    const std::int64_t heads = spec_.heads;
    for (std::int64_t i = 0; i < tokens; ++i) {
      double mean = 0;
      double square = 0;
      for (std::int64_t t = 0; t < heads; ++t) {
        const double e = w.energies[t * stride + i];
        mean += e * moments_[static_cast<std::size_t>(t)];
        square += e * e * moments_[static_cast<std::size_t>(heads + t)];
      }
      const double inverse = 1.0 / std::sqrt(std::max(square - mean * mean, 0.0) + norm_eps_);
      for (std::int64_t t = 0; t < heads; ++t) {
        w.project[t * stride + i] = w.energies[t * stride + i] * inverse;
      }
      w.project[heads * stride + i] = -mean * inverse;
    }
    energies = w.project;
  }
  kernels_->qama_project({.tokens = tokens,
                          .heads = table_rows_,
                          .dim = dim_,
                          .energies = energies,
                          .table = table_.data(),
                          .bias = bias_.data(),
                          .out = out});
}

}  // namespace qama::ops
