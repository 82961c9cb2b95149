#include "ops/attention/softmax.h"

#include <cmath>

namespace qama::ops {

void SoftmaxAttention::run(std::int64_t tokens, const float* qkv, float* out,
                           float* scratch) const noexcept {
  for (std::int64_t t = 0; t < heads; ++t) run_queries(tokens, t, 0, tokens, qkv, out, scratch);
}

void SoftmaxAttention::run_queries(std::int64_t tokens, std::int64_t head, std::int64_t first,
                                   std::int64_t queries, const float* qkv, float* out,
                                   float* scratch) const noexcept {
  const std::int64_t inner = heads * dim_head;
  const float* q = qkv + head * dim_head;
  const float scale = 1.0F / std::sqrt(static_cast<float>(dim_head));
  if (queries == tokens) {
    kernels->softmax_head({.tokens = tokens,
                           .dim_head = dim_head,
                           .q = q,
                           .k = q + inner,
                           .v = q + 2 * inner,
                           .stride = 3 * inner,
                           .scale = scale,
                           .out = out + head * dim_head,
                           .out_stride = inner,
                           .scratch = scratch});
    return;
  }
  const KeyRange everything{0, tokens, kEveryKey};
  AttendArgs a;
  a.queries = queries;
  a.keys = tokens;
  a.dim_head = dim_head;
  a.q = q + first * 3 * inner;
  a.k = q + inner;
  a.v = q + 2 * inner;
  a.q_stride = a.k_stride = a.v_stride = 3 * inner;
  a.position = first;
  a.ranges = &everything;
  a.range_count = 1;
  a.scale = scale;
  a.out = out + first * inner + head * dim_head;
  a.out_stride = inner;
  a.scratch = scratch;
  kernels->attend(a);
}

}  // namespace qama::ops
