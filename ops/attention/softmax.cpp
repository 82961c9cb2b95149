#include "ops/attention/softmax.h"

#include <cmath>

namespace qama::ops {

void SoftmaxAttention::run(std::int64_t tokens, const float* qkv, float* out,
                           float* scratch) const noexcept {
  const std::int64_t inner = heads * dim_head;
  for (std::int64_t t = 0; t < heads; ++t) {
    const float* q = qkv + t * dim_head;
    kernels->softmax_head({.tokens = tokens,
                           .dim_head = dim_head,
                           .q = q,
                           .k = q + inner,
                           .v = q + 2 * inner,
                           .stride = 3 * inner,
                           .scale = 1.0F / std::sqrt(static_cast<float>(dim_head)),
                           .out = out + t * dim_head,
                           .out_stride = inner,
                           .scratch = scratch});
  }
}

}  // namespace qama::ops
