// SoftmaxAttention: ordinary multi-head attention without a mask; a shorter text's keys simply end.
#pragma once

#include <cstdint>

#include "ops/simd/kernels.h"

namespace qama::ops {

struct SoftmaxAttention {
  std::int64_t heads = 0, dim_head = 0;
  const KernelTable* kernels = &best_kernels();

  [[nodiscard]] std::size_t scratch_bytes(std::int64_t tokens) const noexcept {
    return static_cast<std::size_t>(softmax_scratch_floats(tokens, dim_head)) * sizeof(float);
  }
  /// `qkv` [tokens][3 heads dim_head] (queries, keys, values; head-major) to `out` [tokens][heads
  /// dim_head]: softmax(q k^T / sqrt(dim_head)) v.
  void run(std::int64_t tokens, const float* qkv, float* out, float* scratch) const noexcept;
  /// The same, bit for bit, of `queries` tokens from `first` on, in head `head` alone. Scratch as
  /// for all.
  void run_queries(std::int64_t tokens, std::int64_t head, std::int64_t first, std::int64_t queries,
                   const float* qkv, float* out, float* scratch) const noexcept;
};

}  // namespace qama::ops
