#include "runtime/engine/attention/attention.h"

namespace qama::runtime {

#define QAMA_ATTENTION_KIND(kind) Status add_##kind(Builder& b, const AttentionLayer& layer);
#include "weights/attention/kinds.inc"
#undef QAMA_ATTENTION_KIND

Status add_attention(Builder& b, const AttentionLayer& layer) {
  static constexpr Status (*kAdd[])(Builder&, const AttentionLayer&) = {
#define QAMA_ATTENTION_KIND(kind) add_##kind,
#include "weights/attention/kinds.inc"
#undef QAMA_ATTENTION_KIND
  };
  const auto kind = b.architecture().attention_of(layer.block).kind;
  return kAdd[static_cast<std::size_t>(kind)](b, layer);
}

Result<Projected> add_qkv(Builder& b, const AttentionLayer& layer) {
  const weights::Architecture& a = b.architecture();
  const std::int64_t columns = std::int64_t{a.projections(layer.block)} * a.inner();
  Projected out;
  QAMA_ASSIGN_OR_RETURN(out.qkv, b.region(layer.prefix + "qkv", {a.tokens(), columns}));
  QAMA_ASSIGN_OR_RETURN(out.mixed, b.region(layer.prefix + "mixed", {a.tokens(), a.inner()}));
  QAMA_RETURN_IF_ERROR(b.add_linear({.name = layer.prefix + "attn.qkv",
                                     .block = layer.block,
                                     .tensor = layer.tensor + "qkv",
                                     .bias = a.qkv_bias,
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
                       .bias = a.out_bias,
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
