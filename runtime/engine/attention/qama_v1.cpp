#include "ops/attention/qama_v1.h"

#include "hal/base/random.h"
#include "runtime/engine/attention/attention.h"

namespace qama::runtime {
namespace {

Result<std::shared_ptr<const ops::QamaV1Attention>> create(const Builder& b,
                                                           const std::string& tensor) {
  const weights::Architecture& a = b.architecture();
  ops::QamaV1Spec spec;
  spec.heads = a.heads;
  spec.dim_head = a.dim_head;
  spec.bits = a.attention.bits;
  spec.quadratic = a.attention.quadratic;
  spec.linear = a.attention.linear;
  spec.penalty = a.attention.penalty;
  QAMA_ASSIGN_OR_RETURN(spec.coupling_scale, b.weight(tensor + "coupling.scale"));
  QAMA_ASSIGN_OR_RETURN(spec.coupling_shift, b.weight(tensor + "coupling.shift"));
  QAMA_ASSIGN_OR_RETURN(spec.field_scale, b.weight(tensor + "field.scale"));
  QAMA_ASSIGN_OR_RETURN(spec.field_shift, b.weight(tensor + "field.shift"));
  QAMA_ASSIGN_OR_RETURN(spec.energy_scale, b.weight(tensor + "energy.scale"));
  QAMA_ASSIGN_OR_RETURN(spec.energy_shift, b.weight(tensor + "energy.shift"));
  QAMA_ASSIGN_OR_RETURN(std::shared_ptr<const ops::QamaV1Attention> op,
                        ops::QamaV1Attention::create(spec));
  return op;
}

void show(const SampleRun& run, const ops::QamaV1Spec& spec, const hal::DenseView& problem,
          std::int32_t block) {
  run.hooks->problems->problem({.layer = block,
                                .sample = run.sample,
                                .index = run.index,
                                .seed = solve_seed(run.settings->seed, run.index, block),
                                .problem = &problem,
                                .heads = static_cast<std::int32_t>(spec.heads),
                                .tokens = static_cast<std::int32_t>(run.count),
                                .dim_head = static_cast<std::int32_t>(spec.dim_head),
                                .bits = static_cast<std::int32_t>(spec.bits)});
}

}  // namespace

Status add_qama_v1(Builder& b, const AttentionLayer& layer) {
  const weights::Architecture& a = b.architecture();
  if (a.spins_per_head() > hal::kMaxDenseTokens) {
    return Error{ErrorCode::unsupported,
                 "first-version QAMA over " + std::to_string(a.spins_per_head()) +
                     " spins a head, expected at most " + std::to_string(hal::kMaxDenseTokens)};
  }
  b.pipeline().dense_shape = {a.heads, a.spins_per_head()};
  QAMA_ASSIGN_OR_RETURN(const auto op, create(b, layer.tensor));
  QAMA_ASSIGN_OR_RETURN(const Projected p, add_qkv(b, layer));
  QAMA_ASSIGN_OR_RETURN(const auto memory, b.workspace<ops::kQamaV1Pieces>(
                                               layer.prefix, {a.heads, a.dim_head, a.tokens(),
                                                              std::int64_t{a.attention.bits}}));
  const std::int32_t block = layer.block;
  b.add(
      {layer.prefix + "attn.problem", "qama_v1.problem", "plain", block},
      [op, block](SampleRun& run, const float* qkv, const ops::QamaV1Workspace& w) -> Status {
        auto& problem = run.problem.emplace<hal::DenseView>();
        QAMA_RETURN_IF_ERROR(op->front(run.count, qkv, w, problem));
        if (run.hooks->problems != nullptr) show(run, op->spec(), problem, block);
        return {};
      },
      p.qkv, memory.of<ops::kFront>());
  add_solve(b, layer, memory.at(&ops::QamaV1Workspace::spins), a.spins_per_head(),
            memory.of<ops::kSolve>());
  b.add(
      {layer.prefix + "attn.energy", "qama_v1.energy", "plain", block},
      [op, record = SelectionRecord(block, a.heads, a.tokens(), a.attention.bits),
       inner = std::int64_t{a.inner()}](SampleRun& run, const ops::QamaV1Workspace& w, float* out) {
        op->energies(run.count, w);
        op->output(run.count, w, out);
        clear_padding(run, inner, out);
        if (run.hooks->recorder != nullptr) record.show(run, w.spins, w.energies, run.count);
      },
      memory.of<ops::kBack>(), p.mixed);
  return add_out(b, layer, p.mixed);
}

}  // namespace qama::runtime
