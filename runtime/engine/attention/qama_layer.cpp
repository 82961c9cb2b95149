#include "runtime/engine/attention/qama_layer.h"

#include <algorithm>

#include "hal/form.h"
#include "ops/attention/qama_factors.h"

namespace qama::runtime {
namespace {

ops::QamaNormalisation normalisation_of(weights::Normalisation value) {
  switch (value) {
    case weights::Normalisation::instance:
      return ops::QamaNormalisation::instance;
    case weights::Normalisation::batch:
      return ops::QamaNormalisation::batch;
    case weights::Normalisation::none:
      break;
  }
  return ops::QamaNormalisation::none;
}

/// The projection with its biases, in the last of dim + 1 columns, and with the norms of a kind
/// whose queries, keys and values have their own.
Result<AlignedBuffer<float>> with_biases(const weights::Architecture& a, std::int32_t block,
                                         const LayerWeights& weights, std::span<const float> qkv) {
  const auto dim = static_cast<std::size_t>(a.dim);
  const std::size_t rows = qkv.size() / dim;
  AlignedBuffer<float> out(rows * (dim + 1));
  if (a.one_norm(block)) {
    for (std::size_t row = 0; row < rows; ++row) {
      std::copy_n(qkv.data() + row * dim, dim, out.data() + row * (dim + 1));
      out[row * (dim + 1) + dim] = 0.0F;
    }
  } else {
    ops::OwnNorms norms;
    for (int part = 0; part < 3; ++part) {
      const std::string name = std::string("norm_") + "qkv"[part];
      QAMA_ASSIGN_OR_RETURN(norms.scales[part], weights(name + ".weight"));
      QAMA_ASSIGN_OR_RETURN(norms.shifts[part], weights(name + ".bias"));
    }
    QAMA_ASSIGN_OR_RETURN(out, ops::fold_norms(qkv, norms, a.inner(), a.dim));
  }
  if (a.qkv_bias) {
    QAMA_ASSIGN_OR_RETURN(const auto biases, weights("qkv.bias"));
    for (std::size_t row = 0; row < rows; ++row) out[row * (dim + 1) + dim] += biases[row];
  }
  return out;
}

}  // namespace

std::vector<float> qama_ones(const weights::Architecture& a) {
  std::vector<float> ones(2 * static_cast<std::size_t>(a.heads));
  std::fill_n(ones.begin(), a.heads, 1.0F);
  return ones;
}

Result<ops::QamaSpec> qama_spec(const weights::Architecture& a, const LayerWeights& weights,
                                std::span<const float> ones) {
  const weights::AttentionSpec& spec = a.attention;
  ops::QamaSpec q;
  q.front.heads = a.heads;
  q.front.dim_head = a.dim_head;
  q.front.normalisation = normalisation_of(spec.normalisation);
  q.front.eps = q.norm_eps = a.norm_eps;
  q.front.rho0 = spec.rho0;
  q.front.gamma0 = spec.gamma0;
  q.dim = a.dim;
  QAMA_ASSIGN_OR_RETURN(q.w_eps, weights("w_eps"));
  if (spec.kind == weights::AttentionKind::qama_bilinear) {
    q.front.coupling = ops::QamaCoupling::bilinear;
    q.front.pair = 2;
    q.front.output_rho = false;
    const auto heads = static_cast<std::size_t>(a.heads);
    q.front.coupling_scale = q.front.field_scale = ones.first(heads);
    q.front.coupling_shift = q.front.field_shift = ones.last(heads);
    return q;
  }
  QAMA_ASSIGN_OR_RETURN(q.front.coupling_scale, weights("coupling.scale"));
  QAMA_ASSIGN_OR_RETURN(q.front.coupling_shift, weights("coupling.shift"));
  QAMA_ASSIGN_OR_RETURN(q.front.field_scale, weights("field.scale"));
  QAMA_ASSIGN_OR_RETURN(q.front.field_shift, weights("field.shift"));
  QAMA_ASSIGN_OR_RETURN(q.out_weight, weights("out.weight"));
  if (spec.energy_norm == weights::EnergyNorm::layer) {
    q.energy_norm = ops::QamaEnergyNorm::layer;
    QAMA_ASSIGN_OR_RETURN(q.energy_scale, weights("energy.weight"));
    QAMA_ASSIGN_OR_RETURN(q.energy_shift, weights("energy.bias"));
  } else if (spec.energy_norm == weights::EnergyNorm::batch) {
    q.energy_norm = ops::QamaEnergyNorm::batch;
    QAMA_ASSIGN_OR_RETURN(q.energy_scale, weights("energy.scale"));
    QAMA_ASSIGN_OR_RETURN(q.energy_shift, weights("energy.shift"));
  }
  return q;
}

Result<QamaForms> qama_forms(const weights::Architecture& a, std::int32_t block,
                             const ops::QamaFrontSpec& spec, bool factors) {
  // A sample's own tokens decide, not the model's most, so that a text's answer does not depend on
  // what other texts the model takes.
  const auto rank = static_cast<std::int32_t>(spec.rank());
  const std::int32_t first = hal::first_factors_tokens(a.heads, rank, a.anneal_of(block).rounds);
  const bool some = factors && rank <= ops::kMaxLongDimHead && a.tokens() >= first;
  const std::int32_t dense_tokens = some ? first - 1 : a.tokens();
  if (dense_tokens > hal::kMaxDenseTokens) {
    return Error{ErrorCode::unsupported,
                 "QAMA over " + std::to_string(a.tokens()) +
                     " tokens with couplings as integers, expected at most " +
                     std::to_string(hal::kMaxDenseTokens) +
                     "; the local annealer takes more, on factors of heads of at most " +
                     std::to_string(ops::kMaxLongDimHead) + " dimensions"};
  }
  return QamaForms{
      some ? first : 0,
      {a.heads, rank, a.tokens(), dense_tokens, some ? a.tokens() : 0,
       spec.coupling == ops::QamaCoupling::bilinear, spec.output_rho, spec.spares_memory}};
}

Result<QamaProjection> qama_projection(const weights::Architecture& a, std::int32_t block,
                                       const LayerWeights& weights) {
  QAMA_ASSIGN_OR_RETURN(const auto qkv, weights("qkv.weight"));
  QAMA_ASSIGN_OR_RETURN(const auto w_eps, weights("w_eps"));
  QamaProjection out;
  if (a.one_norm(block) && !a.qkv_bias) {
    QAMA_ASSIGN_OR_RETURN(out.weights, ops::fold_qkh(qkv, w_eps, a.heads, a.dim_head, a.dim));
    return out;
  }
  QAMA_ASSIGN_OR_RETURN(const auto biased, with_biases(a, block, weights, qkv));
  // Fields are means over a head's dimensions where the kind has norms of its own.
  std::vector<float> field(w_eps.begin(), w_eps.end());
  if (!a.one_norm(block)) {
    for (float& value : field) value /= static_cast<float>(a.dim_head);
  }
  QAMA_ASSIGN_OR_RETURN(const auto rows, ops::fold_qkh(biased.span(), field, a.heads, a.dim_head,
                                                       std::int64_t{a.dim} + 1));
  const auto dim = static_cast<std::size_t>(a.dim);
  const std::size_t count = rows.size() / (dim + 1);
  out = {AlignedBuffer<float>(count * dim), AlignedBuffer<float>(count)};
  for (std::size_t row = 0; row < count; ++row) {
    std::copy_n(rows.data() + row * (dim + 1), dim, out.weights.data() + row * dim);
    out.biases[row] = rows[row * (dim + 1) + dim];
  }
  return out;
}

}  // namespace qama::runtime
