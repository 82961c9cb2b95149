#include "ops/attention/longformer.h"

#include <algorithm>

namespace qama::ops {

Result<std::unique_ptr<MixingAttention>> LongformerAttention::create(const MixingShape& shape,
                                                                     std::int64_t window,
                                                                     std::int64_t global_tokens,
                                                                     const KernelTable& kernels) {
  return std::unique_ptr<MixingAttention>(new LongformerAttention(
      shape, std::min(window, shape.tokens), std::min(global_tokens, shape.tokens), kernels));
}

std::size_t LongformerAttention::scratch_floats() const noexcept {
  // Sixteen queries side by side see 15 keys more than one.
  const std::int64_t near = std::min(shape_.tokens, global_ + 2 * window_ + 16);
  return static_cast<std::size_t>(
      softmax_scratch_floats(global_ > 0 ? shape_.tokens : near, shape_.dim_head));
}

std::int64_t LongformerAttention::macs() const noexcept {
  const std::int64_t n = shape_.tokens;
  const std::int64_t pairs = global_ * n + (n - global_) * std::min(n, global_ + 2 * window_ + 1);
  return 2 * pairs * shape_.inner();
}

void LongformerAttention::run(std::int64_t tokens, const float* qkv, float* out,
                              float* scratch) const noexcept {
  const std::int64_t inner = shape_.inner();
  const std::int64_t global = std::min(global_, tokens);
  const KeyRange everything[] = {{0, tokens, kEveryKey}};
  const KeyRange near[] = {{0, global, kEveryKey}, {global, tokens, window_}};
  for (std::int64_t t = 0; t < shape_.heads; ++t) {
    AttendArgs a;
    a.queries = global;
    a.keys = tokens;
    a.dim_head = shape_.dim_head;
    a.q = qkv + t * shape_.dim_head;
    a.k = a.q + inner;
    a.v = a.k + inner;
    a.q_stride = a.k_stride = a.v_stride = 3 * inner;
    a.ranges = everything;
    a.range_count = 1;
    a.scale = score_scale();
    a.out = out + t * shape_.dim_head;
    a.out_stride = inner;
    a.scratch = scratch;
    if (global > 0) kernels_->attend(a);
    if (global == tokens) continue;
    a.queries = tokens - global;
    a.position = global;
    a.q += global * a.q_stride;
    a.out += global * a.out_stride;
    a.ranges = near;
    a.range_count = 2;
    kernels_->attend(a);
  }
}

}  // namespace qama::ops
