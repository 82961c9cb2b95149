#include "ops/attention/qama.h"

#include <algorithm>
#include <vector>

#include "hal/base/random.h"
#include "hal/form.h"
#include "ops/attention/qama_factors.h"
#include "runtime/engine/attention/attention.h"
#include "weights/int8.h"

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

/// Scales and shifts of kinds without normalisation: [heads] ones, then zeros.
using Ones = std::vector<float>;

Result<ops::QamaSpec> spec_of(const Builder& b, const std::string& tensor, const Ones& ones) {
  const weights::Architecture& a = b.architecture();
  const weights::AttentionSpec& spec = a.attention;
  ops::QamaSpec q;
  q.front.heads = a.heads;
  q.front.dim_head = a.dim_head;
  q.front.normalisation = normalisation_of(spec.normalisation);
  q.front.eps = q.norm_eps = a.norm_eps;
  q.front.rho0 = spec.rho0;
  q.front.gamma0 = spec.gamma0;
  q.dim = a.dim;
  QAMA_ASSIGN_OR_RETURN(q.w_eps, b.weight(tensor + "w_eps"));
  if (spec.kind == weights::AttentionKind::qama_bilinear) {
    q.front.coupling = ops::QamaCoupling::bilinear;
    q.front.pair = 2;
    q.front.output_rho = false;
    const auto heads = static_cast<std::size_t>(a.heads);
    q.front.coupling_scale = q.front.field_scale = std::span(ones).first(heads);
    q.front.coupling_shift = q.front.field_shift = std::span(ones).last(heads);
    return q;
  }
  QAMA_ASSIGN_OR_RETURN(q.front.coupling_scale, b.weight(tensor + "coupling.scale"));
  QAMA_ASSIGN_OR_RETURN(q.front.coupling_shift, b.weight(tensor + "coupling.shift"));
  QAMA_ASSIGN_OR_RETURN(q.front.field_scale, b.weight(tensor + "field.scale"));
  QAMA_ASSIGN_OR_RETURN(q.front.field_shift, b.weight(tensor + "field.shift"));
  QAMA_ASSIGN_OR_RETURN(q.out_weight, b.weight(tensor + "out.weight"));
  if (spec.energy_norm == weights::EnergyNorm::layer) {
    q.energy_norm = ops::QamaEnergyNorm::layer;
    QAMA_ASSIGN_OR_RETURN(q.energy_scale, b.weight(tensor + "energy.weight"));
    QAMA_ASSIGN_OR_RETURN(q.energy_shift, b.weight(tensor + "energy.bias"));
  } else if (spec.energy_norm == weights::EnergyNorm::batch) {
    q.energy_norm = ops::QamaEnergyNorm::batch;
    QAMA_ASSIGN_OR_RETURN(q.energy_scale, b.weight(tensor + "energy.scale"));
    QAMA_ASSIGN_OR_RETURN(q.energy_shift, b.weight(tensor + "energy.shift"));
  }
  return q;
}

/// The tokens from which a sample is solved on factors, and what follows for the layer's memory.
struct Forms {
  std::int64_t first_on_factors = 0;  ///< 0: no sample is
  ops::QamaSizes sizes;
};

Result<Forms> forms_of(const Builder& b, std::int32_t block, const ops::QamaFrontSpec& spec) {
  const weights::Architecture& a = b.architecture();
  // A sample's own tokens decide, not the model's most, so that a text's answer does not depend on
  // what other texts the model takes.
  const auto rank = static_cast<std::int32_t>(spec.rank());
  const std::int32_t first = hal::first_factors_tokens(a.heads, rank, a.anneal_of(block).rounds);
  const bool factors = b.factors() && rank <= ops::kMaxLongDimHead && a.tokens() >= first;
  const std::int32_t dense_tokens = factors ? first - 1 : a.tokens();
  if (dense_tokens > hal::kMaxDenseTokens) {
    return Error{ErrorCode::unsupported,
                 "QAMA over " + std::to_string(a.tokens()) +
                     " tokens with couplings as integers, expected at most " +
                     std::to_string(hal::kMaxDenseTokens) +
                     "; the local annealer takes more, on factors of heads of at most " +
                     std::to_string(ops::kMaxLongDimHead) + " dimensions"};
  }
  return Forms{factors ? first : 0,
               {a.heads, rank, a.tokens(), dense_tokens, factors ? a.tokens() : 0,
                spec.coupling == ops::QamaCoupling::bilinear, spec.output_rho}};
}

/// Multiply-adds of the step that makes a layer's problem.
std::int64_t problem_macs(const ops::QamaFrontSpec& spec, std::int64_t tokens, bool on_factors) {
  const std::int64_t factors = spec.heads * tokens * spec.rank();
  if (!on_factors) return factors * tokens;  // J
  // Bilinear factors are a sum of a query and a key times a constant each.
  if (spec.coupling == ops::QamaCoupling::bilinear) return factors;
  return factors * (3 * ops::long_factor_width(spec.rank()) / 2);  // three triangles of the square
}

struct Folded {
  AlignedBuffer<float> weights, biases;
};

/// The projection with its biases, in the last of dim + 1 columns, and with the norms of a kind
/// whose queries, keys and values have their own.
Result<AlignedBuffer<float>> with_biases(const Builder& b, const AttentionLayer& layer,
                                         std::span<const float> qkv) {
  const weights::Architecture& a = b.architecture();
  const auto dim = static_cast<std::size_t>(a.dim);
  const std::size_t rows = qkv.size() / dim;
  AlignedBuffer<float> out(rows * (dim + 1));
  if (a.one_norm(layer.block)) {
    for (std::size_t row = 0; row < rows; ++row) {
      std::copy_n(qkv.data() + row * dim, dim, out.data() + row * (dim + 1));
      out[row * (dim + 1) + dim] = 0.0F;
    }
  } else {
    ops::OwnNorms norms;
    for (int part = 0; part < 3; ++part) {
      const std::string name = layer.tensor + "norm_" + "qkv"[part];
      QAMA_ASSIGN_OR_RETURN(norms.scales[part], b.weight(name + ".weight"));
      QAMA_ASSIGN_OR_RETURN(norms.shifts[part], b.weight(name + ".bias"));
    }
    QAMA_ASSIGN_OR_RETURN(out, ops::fold_norms(qkv, norms, a.inner(), a.dim));
  }
  if (a.qkv_bias) {
    QAMA_ASSIGN_OR_RETURN(const auto biases, b.weight(layer.tensor + "qkv.bias"));
    for (std::size_t row = 0; row < rows; ++row) out[row * (dim + 1) + dim] += biases[row];
  }
  return out;
}

/// The same with fields in place of values, which are means over a head's dimensions where the kind
/// has norms of its own.
Result<Folded> fold_biases(const Builder& b, const AttentionLayer& layer,
                           std::span<const float> qkv, std::span<const float> w_eps) {
  const weights::Architecture& a = b.architecture();
  QAMA_ASSIGN_OR_RETURN(const auto biased, with_biases(b, layer, qkv));
  std::vector<float> field(w_eps.begin(), w_eps.end());
  if (!a.one_norm(layer.block)) {
    for (float& value : field) value /= static_cast<float>(a.dim_head);
  }
  QAMA_ASSIGN_OR_RETURN(const auto rows, ops::fold_qkh(biased.span(), field, a.heads, a.dim_head,
                                                       std::int64_t{a.dim} + 1));
  const auto dim = static_cast<std::size_t>(a.dim);
  const std::size_t count = rows.size() / (dim + 1);
  Folded out{AlignedBuffer<float>(count * dim), AlignedBuffer<float>(count)};
  for (std::size_t row = 0; row < count; ++row) {
    std::copy_n(rows.data() + row * (dim + 1), dim, out.weights.data() + row * dim);
    out.biases[row] = rows[row * (dim + 1) + dim];
  }
  return out;
}

/// `normed` -> queries, keys and the heads' fields, in one product with folded weights.
Result<Region<float>> add_qkh(Builder& b, const AttentionLayer& layer,
                              std::span<const float> w_eps) {
  const weights::Architecture& a = b.architecture();
  QAMA_ASSIGN_OR_RETURN(const auto qkv, b.weight(layer.tensor + "qkv.weight"));
  QAMA_ASSIGN_OR_RETURN(const auto stored,
                        weights::int8_matrix(b.model().file(), layer.tensor + "qkv.weight"));
  const std::int64_t columns = std::int64_t{2} * a.inner() + a.heads;
  Folded folded;
  if (a.one_norm(layer.block) && !a.qkv_bias) {
    QAMA_ASSIGN_OR_RETURN(folded.weights, ops::fold_qkh(qkv, w_eps, a.heads, a.dim_head, a.dim));
  } else {
    QAMA_ASSIGN_OR_RETURN(folded, fold_biases(b, layer, qkv, w_eps));
  }
  QAMA_ASSIGN_OR_RETURN(const auto qkh, b.region(layer.prefix + "qkh", {a.tokens(), columns}));
  QAMA_RETURN_IF_ERROR(b.add_linear({.name = layer.prefix + "attn.qkh",
                                     .block = layer.block,
                                     .tensor = layer.tensor + "qkh",
                                     .weights = folded.weights.span(),
                                     .biases = folded.biases.span(),
                                     // Rows of queries and keys become what the file has, exactly.
                                     .int8 = !stored.empty(),
                                     .in = a.dim,
                                     .out = columns,
                                     .from = b.normed,
                                     .to = qkh}));
  return qkh;
}

/// The biases of the projection, which the energies' own projection has not.
Status add_out_bias(Builder& b, const AttentionLayer& layer) {
  QAMA_ASSIGN_OR_RETURN(const auto stored, b.weight(layer.tensor + "out.bias"));
  AlignedBuffer<float> bias(stored.size());
  std::copy(stored.begin(), stored.end(), bias.data());
  b.add(
      {layer.prefix + "attn.out_bias", "add", "plain", layer.block},
      [bias = std::move(bias)](SampleRun& run, float* rows) {
        for (std::int64_t i = 0; i < run.count; ++i) {
          for (const float value : bias.span()) *rows++ += value;
        }
      },
      b.delta);
  b.pipeline().weight_bytes += stored.size_bytes();
  return {};
}

void show(const SampleRun& run, const ops::QamaFrontSpec& spec, const ops::QamaWorkspace& w,
          const hal::DenseView& problem, std::int32_t block) {
  const std::int64_t stride = ops::token_stride(run.count);
  const auto heads = static_cast<std::size_t>(spec.heads);
  const auto rank = static_cast<std::size_t>(spec.rank());
  // What the energy to be minimised has, in place of what the output has.
  double* constants = w.constants + 2 * heads;
  for (std::size_t i = 0; i < 2 * heads; ++i) constants[i] = spec.pair * w.constants[i];
  run.hooks->problems->problem({.layer = block,
                                .sample = run.sample,
                                .index = run.index,
                                .seed = solve_seed(run.settings->seed, run.index, block),
                                .problem = &problem,
                                .heads = static_cast<std::int32_t>(spec.heads),
                                .tokens = static_cast<std::int32_t>(run.count),
                                .dim_head = static_cast<std::int32_t>(spec.rank()),
                                .negative = static_cast<std::int32_t>(spec.rank() - spec.dim_head),
                                .stride = stride,
                                .factors = {w.factors, heads * rank * stride},
                                .fields = {w.real_fields, heads * stride},
                                .coupling_scale = {constants, heads},
                                .coupling_shift = {constants + heads, heads},
                                .rho = spec.rho(run.count),
                                .lambda = spec.lambda(run.count)});
}

}  // namespace

Status add_qama(Builder& b, const AttentionLayer& layer) {
  const weights::Architecture& a = b.architecture();
  Ones ones(2 * static_cast<std::size_t>(a.heads));
  std::fill_n(ones.begin(), a.heads, 1.0F);
  QAMA_ASSIGN_OR_RETURN(const ops::QamaSpec spec, spec_of(b, layer.tensor, ones));
  QAMA_ASSIGN_OR_RETURN(const Forms forms, forms_of(b, layer.block, spec.front));
  QAMA_ASSIGN_OR_RETURN(std::shared_ptr<const ops::QamaAttention> op,
                        ops::QamaAttention::create(spec));
  QAMA_ASSIGN_OR_RETURN(const auto qkh, add_qkh(b, layer, spec.w_eps));
  QAMA_ASSIGN_OR_RETURN(const auto memory,
                        b.workspace<ops::kQamaPieces>(layer.prefix, forms.sizes));
  Pipeline& pipeline = b.pipeline();
  pipeline.weight_bytes += op->weight_bytes();
  pipeline.dense_shape = {a.heads, static_cast<std::int32_t>(forms.sizes.dense_tokens)};
  if (forms.first_on_factors > 0) {
    pipeline.factors_shape = {a.heads, a.tokens()};
    pipeline.factors_rank = static_cast<std::int32_t>(ops::long_factor_width(spec.front.rank()));
  }
  const std::int32_t block = layer.block;
  b.add(
      {layer.prefix + "attn.problem", "qama.problem", simd_name(), block,
       problem_macs(spec.front, a.tokens(), forms.first_on_factors > 0)},
      [op, block, first = forms.first_on_factors](SampleRun& run, const float* from,
                                                  const ops::QamaWorkspace& w) -> Status {
        if (first > 0 && run.count >= first) {
          ops::qama_factors_front(op->front_spec(), run.count, from, w, op->kernels(),
                                  run.problem.emplace<hal::FactorsView>());
          return {};
        }
        auto& problem = run.problem.emplace<hal::DenseView>();
        QAMA_RETURN_IF_ERROR(op->front(run.count, from, w, problem));
        if (run.hooks->problems != nullptr) show(run, op->front_spec(), w, problem, block);
        return {};
      },
      qkh, memory.of<ops::kFront>());
  add_solve(b, layer, memory.at(&ops::QamaWorkspace::spins), a.tokens(), memory.of<ops::kSolve>());
  b.add(
      {layer.prefix + "attn.energy", "qama.energy", simd_name(), block},
      [op, record = SelectionRecord(block, a.heads, a.tokens(), 1), dim = std::int64_t{a.dim}](
          SampleRun& run, const ops::QamaWorkspace& w, float* out) {
        if (hal::form_of(run.problem) == hal::Form::factors) {
          ops::qama_factors_energies(op->front_spec(), run.count, w, op->kernels());
        } else {
          op->energies(run.count, w);
        }
        op->project(run.count, w, out);
        clear_padding(run, dim, out);
        if (run.hooks->recorder == nullptr) return;
        record.show(run, w.spins, w.energies, ops::token_stride(run.count));
      },
      memory.of<ops::kBack>(), b.delta);
  return a.out_bias ? add_out_bias(b, layer) : Status{};
}

/// The same with other constants.
Status add_qama_bilinear(Builder& b, const AttentionLayer& layer) {
  return add_qama(b, layer);
}

}  // namespace qama::runtime
