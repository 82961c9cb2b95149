// LinformerAttention (Wang et al. 2020, arXiv 2006.04768): keys and values of all tokens are
// projected to `rank` rows by E and F, one pair a layer, and attended to there: softmax(Q (E K)^T /
// sqrt(D)) F V. A shorter text uses the first columns of E and F. Time O(N rank D), working memory
// O(rank heads D).
#pragma once

#include <memory>
#include <span>

#include "ops/attention/mixing.h"

namespace qama::ops {

class LinformerAttention final : public MixingAttention {
 public:
  /// `proj_k`, `proj_v` [rank][N], copied. INVALID_ARGUMENT for other sizes.
  [[nodiscard]] static Result<std::unique_ptr<MixingAttention>> create(
      const MixingShape& shape, std::int64_t rank, std::span<const float> proj_k,
      std::span<const float> proj_v, const KernelTable& kernels = best_kernels());

  [[nodiscard]] std::string_view name() const noexcept override { return "linformer"; }
  [[nodiscard]] std::size_t scratch_floats() const noexcept override;
  [[nodiscard]] std::int64_t macs() const noexcept override;
  [[nodiscard]] std::size_t weight_bytes() const noexcept override {
    return projections_.size() * sizeof(float);
  }
  void run(std::int64_t tokens, const float* qkv, float* out,
           float* scratch) const noexcept override;

 private:
  LinformerAttention(const MixingShape& shape, std::int64_t rank, const KernelTable& kernels)
      : MixingAttention(shape, kernels), rank_(rank) {}

  std::int64_t rank_;
  AlignedBuffer<float> projections_;  // E, then F
};

}  // namespace qama::ops
