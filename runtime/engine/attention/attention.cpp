#include "runtime/engine/attention/attention.h"

namespace qama::runtime {

Status add_softmax(Builder& b, const AttentionLayer& layer);
Status add_qama(Builder& b, const AttentionLayer& layer);
Status add_longformer(Builder& b, const AttentionLayer& layer);
Status add_bigbird(Builder& b, const AttentionLayer& layer);
Status add_linformer(Builder& b, const AttentionLayer& layer);
Status add_performer(Builder& b, const AttentionLayer& layer);
Status add_reformer(Builder& b, const AttentionLayer& layer);
Status add_qama_v1(Builder& b, const AttentionLayer& layer);

namespace {

using Kind = weights::AttentionKind;
constexpr std::pair<Kind, Status (*)(Builder&, const AttentionLayer&)> kKinds[] = {
    {Kind::softmax, add_softmax},       {Kind::qama, add_qama},
    {Kind::longformer, add_longformer}, {Kind::bigbird, add_bigbird},
    {Kind::linformer, add_linformer},   {Kind::performer, add_performer},
    {Kind::reformer, add_reformer},     {Kind::qama_v1, add_qama_v1}};

}  // namespace

Status add_attention(Builder& b, const AttentionLayer& layer) {
  const Kind kind = b.architecture().attention.kind;
  for (const auto& [known, add] : kKinds) {
    if (known == kind) return add(b, layer);
  }
  return Error{ErrorCode::unsupported,
               "attention '" + std::string(name_of(kind)) + "' has no operator in this build"};
}

Result<Projected> add_qkv(Builder& b, const AttentionLayer& layer) {
  const weights::Architecture& a = b.architecture();
  const std::int64_t columns = std::int64_t{a.projections()} * a.inner();
  Projected out;
  QAMA_ASSIGN_OR_RETURN(out.qkv, b.region(layer.prefix + "qkv", {a.tokens(), columns}));
  QAMA_ASSIGN_OR_RETURN(out.mixed, b.region(layer.prefix + "mixed", {a.tokens(), a.inner()}));
  QAMA_RETURN_IF_ERROR(b.add_linear({.name = layer.prefix + "attn.qkv",
                                     .block = layer.block,
                                     .tensor = layer.tensor + "qkv",
                                     .in = a.dim,
                                     .out = columns,
                                     .from = b.normed,
                                     .to = out.qkv}));
  return out;
}

Status add_out(Builder& b, const AttentionLayer& layer, Region<float> mixed) {
  const weights::Architecture& a = b.architecture();
  return b.add_linear({.name = layer.prefix + "attn.out",
                       .block = layer.block,
                       .tensor = layer.tensor + "out",
                       .in = a.inner(),
                       .out = a.dim,
                       .from = mixed,
                       .to = b.delta});
}

ops::MixingShape mixing_shape(const Builder& b) {
  const weights::Architecture& a = b.architecture();
  return {a.tokens(), a.heads, a.dim_head};
}

Status add_mixing(Builder& b, const AttentionLayer& layer,
                  Result<std::unique_ptr<ops::MixingAttention>> op) {
  if (!op.ok()) return op.error();
  const ops::MixingAttention& mixing = **op;
  QAMA_ASSIGN_OR_RETURN(const Projected p, add_qkv(b, layer));
  QAMA_ASSIGN_OR_RETURN(const auto scratch,
                        b.region(layer.prefix + "attn.scratch",
                                 {static_cast<std::int64_t>(mixing.scratch_floats())}));
  b.pipeline().weight_bytes += mixing.weight_bytes();
  const std::string name(mixing.name());
  b.add(
      {layer.prefix + "attn." + name, name, simd_name(), layer.block, mixing.macs()},
      [op = *std::move(op)](SampleRun& run, const float* qkv, float* out, float* work) {
        op->run(run.count, qkv, out, work);
        clear_padding(run, op->shape().inner(), out);
      },
      p.qkv, p.mixed, scratch);
  return add_out(b, layer, p.mixed);
}

}  // namespace qama::runtime
