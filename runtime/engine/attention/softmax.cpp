#include "ops/attention/softmax.h"

#include "runtime/engine/attention/attention.h"

namespace qama::runtime {

namespace {

/// Queries that the kernels take at a time, at most: a share is no part of that.
constexpr std::int64_t kQueries = 16;

}  // namespace

Status add_softmax(Builder& b, const AttentionLayer& layer) {
  const weights::Architecture& a = b.architecture();
  const ops::SoftmaxAttention op{a.heads, a.dim_head};
  QAMA_ASSIGN_OR_RETURN(const Projected p, add_qkv(b, layer));
  const Region<float> mixed = a.projects(layer.block) ? p.mixed : b.delta;
  // Of each thread.
  const std::int64_t scratch_floats = ops::softmax_scratch_floats(a.tokens(), a.dim_head);
  QAMA_ASSIGN_OR_RETURN(const auto scratch, b.region(layer.prefix + "attn.scratch",
                                                     {b.sample_threads(), scratch_floats}));
  const std::int64_t macs = std::int64_t{2} * a.tokens() * a.tokens() * a.inner();
  b.add(
      {layer.prefix + "attn.softmax", "softmax_attention", simd_name(), layer.block, macs},
      [op, scratch_floats](SampleRun& run, const float* qkv, float* out, float* work) {
        const std::int64_t n = run.count;
        const std::int64_t parts = shares_of(n, 2 * n * n * op.dim_head * op.heads);
        share_out(run, static_cast<std::int32_t>(op.heads * parts),
                  [=](std::int32_t share, std::int32_t thread) {
                    const RowShare queries = row_share(n, parts, share % parts, kQueries);
                    op.run_queries(n, share / parts, queries.first, queries.count, qkv, out,
                                   work + thread * scratch_floats);
                  });
        clear_padding(run, op.heads * op.dim_head, out);
      },
      p.qkv, mixed, scratch);
  return a.projects(layer.block) ? add_out(b, layer, mixed) : Status{};
}

}  // namespace qama::runtime
