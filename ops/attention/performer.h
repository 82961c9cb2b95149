// PerformerAttention (Choromanski et al. 2021, arXiv 2009.14794), FAVOR+: the softmax kernel
// through m positive random features w (rows of a table that the model file holds),
//   phi(x) = exp(w y - |y|^2 / 2 - c) + eps,  y = x D^-1/4,
// with c the largest w y of a query, or of all keys of a head; then
//   out_i = phi(q_i) sum_j phi(k_j)^T v_j / (phi(q_i) sum_j phi(k_j)^T).
// One pass over the keys: the sums are rescaled when a larger c turns up. Time O(N m D), working
// memory O(m D), whatever N is.
#pragma once

#include <memory>
#include <span>

#include "ops/attention/mixing.h"

namespace qama::ops {

class PerformerAttention final : public MixingAttention {
 public:
  /// `features` [count][dim_head], copied. INVALID_ARGUMENT for another size.
  [[nodiscard]] static Result<std::unique_ptr<MixingAttention>> create(
      const MixingShape& shape, std::int64_t count, std::span<const float> features,
      const KernelTable& kernels = best_kernels());
  static constexpr float kEps = 1e-4F;

  [[nodiscard]] std::string_view name() const noexcept override { return "performer"; }
  [[nodiscard]] std::size_t scratch_floats() const noexcept override;
  [[nodiscard]] std::int64_t macs() const noexcept override;
  [[nodiscard]] std::size_t weight_bytes() const noexcept override {
    return features_.size() * sizeof(float);
  }
  void run(std::int64_t tokens, const float* qkv, float* out,
           float* scratch) const noexcept override;

 private:
  PerformerAttention(const MixingShape& shape, std::int64_t count, const KernelTable& kernels)
      : MixingAttention(shape, kernels), count_(count) {}

  struct Scratch;
  [[nodiscard]] Scratch pieces(float* scratch) const noexcept;
  void project(std::int64_t rows, const float* x, std::int64_t stride,
               const Scratch& s) const noexcept;
  void sum_keys(std::int64_t tokens, const float* k, const float* v, std::int64_t stride,
                const Scratch& s) const noexcept;

  std::int64_t count_;
  AlignedBuffer<float> features_;  // [dim_head][count], times D^-1/4
};

}  // namespace qama::ops
