#include "ops/attention/linformer.h"

#include <algorithm>

namespace qama::ops {

Result<std::unique_ptr<MixingAttention>> LinformerAttention::create(const MixingShape& shape,
                                                                    std::int64_t rank,
                                                                    std::span<const float> proj_k,
                                                                    std::span<const float> proj_v,
                                                                    const KernelTable& kernels) {
  const auto size = static_cast<std::size_t>(rank * shape.tokens);
  for (const auto& projection : {proj_k, proj_v}) {
    if (projection.size() != size) {
      return bad_mixing_size("linformer", "a projection", projection.size(), size);
    }
  }
  std::unique_ptr<LinformerAttention> out(new LinformerAttention(shape, rank, kernels));
  out->projections_.resize(2 * size);
  std::copy(proj_k.begin(), proj_k.end(), out->projections_.data());
  std::copy(proj_v.begin(), proj_v.end(), out->projections_.data() + size);
  return std::unique_ptr<MixingAttention>(std::move(out));
}

std::size_t LinformerAttention::scratch_floats() const noexcept {
  return static_cast<std::size_t>(2 * rank_ * shape_.inner() +
                                  softmax_scratch_floats(rank_, shape_.dim_head));
}

std::int64_t LinformerAttention::macs() const noexcept {
  return 4 * shape_.tokens * rank_ * shape_.inner();
}

void LinformerAttention::run(std::int64_t tokens, const float* qkv, float* out,
                             float* scratch) const noexcept {
  const std::int64_t inner = shape_.inner();
  float* short_k = scratch;  // [rank][inner]
  float* short_v = short_k + rank_ * inner;
  for (int part = 0; part < 2; ++part) {
    kernels_->product({.rows = rank_,
                       .inner = tokens,
                       .columns = inner,
                       .a = projections_.data() + part * rank_ * shape_.tokens,
                       .a_row = shape_.tokens,
                       .a_inner = 1,
                       .b = qkv + (1 + part) * inner,
                       .b_stride = 3 * inner,
                       .c = part == 0 ? short_k : short_v,
                       .c_stride = inner,
                       .add = false});
  }
  const KeyRange everything[] = {{0, rank_, kEveryKey}};
  for (std::int64_t t = 0; t < shape_.heads; ++t) {
    kernels_->attend({.queries = tokens,
                      .keys = rank_,
                      .dim_head = shape_.dim_head,
                      .q = qkv + t * shape_.dim_head,
                      .k = short_k + t * shape_.dim_head,
                      .v = short_v + t * shape_.dim_head,
                      .q_stride = 3 * inner,
                      .k_stride = inner,
                      .v_stride = inner,
                      .position = 0,
                      .ranges = everything,
                      .range_count = 1,
                      .scale = score_scale(),
                      .out = out + t * shape_.dim_head,
                      .out_stride = inner,
                      .log_sum = nullptr,
                      .scratch = short_v + rank_ * inner});
  }
}

}  // namespace qama::ops
