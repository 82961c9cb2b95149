#include "ops/attention/qama.h"

#include <algorithm>
#include <vector>

#include "hal/base/random.h"
#include "hal/form.h"
#include "ops/attention/qama_factors.h"
#include "runtime/engine/attention/attention.h"
#include "runtime/engine/attention/qama_layer.h"
#include "weights/int8.h"

namespace qama::runtime {
namespace {

/// Multiply-adds of the step that makes a layer's problem.
std::int64_t problem_macs(const ops::QamaFrontSpec& spec, std::int64_t tokens, bool on_factors) {
  const std::int64_t factors = spec.heads * tokens * spec.rank();
  if (!on_factors) return factors * tokens;  // J
  // Bilinear factors are a sum of a query and a key times a constant each.
  if (spec.coupling == ops::QamaCoupling::bilinear) return factors;
  return factors * (3 * ops::long_factor_width(spec.rank()) / 2);  // three triangles of the square
}

/// `normed` -> queries, keys and the heads' fields, in one product with folded weights.
Result<Region<float>> add_qkh(Builder& b, const AttentionLayer& layer,
                              const LayerWeights& weights) {
  const weights::Architecture& a = b.architecture();
  const std::int64_t columns = std::int64_t{2} * a.inner() + a.heads;
  weights::Int8Matrix stored;
  QamaProjection folded;
  if (!b.in_panels(layer.tensor + "qkh")) {
    QAMA_ASSIGN_OR_RETURN(stored,
                          weights::int8_matrix(b.model().file(), layer.tensor + "qkv.weight"));
    QAMA_ASSIGN_OR_RETURN(folded, qama_projection(a, layer.block, weights));
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
  run.hooks->problems->problem(
      {.layer = block,
       .sample = run.sample,
       .index = run.index,
       .seed = solve_seed(run.settings->seed, run.index, block),
       .problem = &problem,
       .heads = static_cast<std::int32_t>(spec.heads),
       .tokens = static_cast<std::int32_t>(run.count),
       .dim_head = static_cast<std::int32_t>(spec.rank()),
       .negative = static_cast<std::int32_t>(spec.rank() - spec.dim_head),
       .stride = stride,
       .factors = {w.factors, static_cast<std::size_t>(heads * rank * stride)},
       .fields = {w.real_fields, static_cast<std::size_t>(heads * stride)},
       .coupling_scale = {constants, heads},
       .coupling_shift = {constants + heads, heads},
       .rho = spec.rho(run.count),
       .lambda = spec.lambda(run.count)});
}

}  // namespace

Status add_qama(Builder& b, const AttentionLayer& layer) {
  const weights::Architecture& a = b.architecture();
  const std::vector<float> ones = qama_ones(a);
  const LayerWeights weights = [&b, &layer](const std::string& name) {
    return b.weight(layer.tensor + name);
  };
  QAMA_ASSIGN_OR_RETURN(ops::QamaSpec spec, qama_spec(a, weights, ones));
  spec.front.spares_memory = b.spares_memory;
  QAMA_ASSIGN_OR_RETURN(const QamaForms forms, qama_forms(a, layer.block, spec.front, b.factors()));
  QAMA_ASSIGN_OR_RETURN(std::shared_ptr<const ops::QamaAttention> op,
                        ops::QamaAttention::create(spec));
  QAMA_ASSIGN_OR_RETURN(const auto qkh, add_qkh(b, layer, weights));
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
