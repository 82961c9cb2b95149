#include "ops/attention/softmax.h"

#include "runtime/engine/attention/attention.h"

namespace qama::runtime {

Status add_softmax(Builder& b, const AttentionLayer& layer) {
  const weights::Architecture& a = b.architecture();
  const ops::SoftmaxAttention op{a.heads, a.dim_head};
  QAMA_ASSIGN_OR_RETURN(const Projected p, add_qkv(b, layer));
  const Region<float> mixed = a.projects() ? p.mixed : b.delta;
  QAMA_ASSIGN_OR_RETURN(const auto scratch,
                        b.region(layer.prefix + "attn.scratch",
                                 {ops::softmax_scratch_floats(a.tokens(), a.dim_head)}));
  const std::int64_t macs = std::int64_t{2} * a.tokens() * a.tokens() * a.inner();
  b.add(
      {layer.prefix + "attn.softmax", "softmax_attention", simd_name(), layer.block, macs},
      [op](SampleRun& run, const float* qkv, float* out, float* work) {
        op.run(run.count, qkv, out, work);
        clear_padding(run, op.heads * op.dim_head, out);
      },
      p.qkv, mixed, scratch);
  return a.projects() ? add_out(b, layer, mixed) : Status{};
}

}  // namespace qama::runtime
