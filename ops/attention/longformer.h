// LongformerAttention (Beltagy et al. 2020, arXiv 2004.05150): a token sees the `window` tokens on
// either side of it and the first `global_tokens` tokens, which see everything. One set of
// projections serves both; the paper's second set for global tokens is not part of this kind. Time
// O(N (2 window + global) D), working memory O(window + global) without global tokens, O(N) with
// them.
#pragma once

#include <memory>

#include "ops/attention/mixing.h"

namespace qama::ops {

class LongformerAttention final : public MixingAttention {
 public:
  [[nodiscard]] static Result<std::unique_ptr<MixingAttention>> create(
      const MixingShape& shape, std::int64_t window, std::int64_t global_tokens,
      const KernelTable& kernels = best_kernels());

  [[nodiscard]] std::string_view name() const noexcept override { return "longformer"; }
  [[nodiscard]] std::size_t scratch_floats() const noexcept override;
  [[nodiscard]] std::int64_t macs() const noexcept override;
  void run(std::int64_t tokens, const float* qkv, float* out,
           float* scratch) const noexcept override;

 private:
  LongformerAttention(const MixingShape& shape, std::int64_t window, std::int64_t global_tokens,
                      const KernelTable& kernels)
      : MixingAttention(shape, kernels), window_(window), global_(global_tokens) {}

  std::int64_t window_, global_;
};

}  // namespace qama::ops
