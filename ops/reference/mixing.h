// Plain versions of the attention kinds of ops/attention/mixing.h: from their definitions, token by
// token in double, with whatever memory that takes. Tests hold the operators against them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ops/attention/bigbird.h"
#include "ops/attention/mixing.h"
#include "ops/attention/reformer.h"

namespace qama::ops {

/// Softmax attention in which token i sees token j if sees(i, j). `qkv` [tokens][3 heads dim_head],
/// result [tokens][heads dim_head], as everywhere here.
[[nodiscard]] std::vector<double> reference_sparse(
    const MixingShape& shape, std::int64_t tokens, const float* qkv,
    const std::function<bool(std::int64_t, std::int64_t)>& sees);

/// `proj_k`, `proj_v` [rank][shape.tokens].
[[nodiscard]] std::vector<double> reference_linformer(const MixingShape& shape, std::int64_t tokens,
                                                      const float* qkv, std::int64_t rank,
                                                      std::span<const float> proj_k,
                                                      std::span<const float> proj_v);

/// `features` [count][dim_head].
[[nodiscard]] std::vector<double> reference_performer(const MixingShape& shape, std::int64_t tokens,
                                                      const float* qkv, std::int64_t count,
                                                      std::span<const float> features);

/// `qkv` [tokens][2 heads dim_head].
[[nodiscard]] std::vector<double> reference_reformer(const MixingShape& shape, std::int64_t tokens,
                                                     const float* qkv, const ReformerSpec& spec);

}  // namespace qama::ops
