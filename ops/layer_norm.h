// LayerNorm: a row's mean and variance brought to 0 and 1, then gamma and beta; fused with what
// stands beside it in a pre-norm transformer: the residual before, the position after.
#pragma once

#include <cstdint>
#include <span>

#include "hal/base/result.h"
#include "ops/simd/kernels.h"

namespace qama::ops {

/// Immutable after create().
class LayerNorm {
 public:
  LayerNorm() = default;
  /// `gamma`, `beta` [dim]: the caller's, who keeps them as long as this is used. INVALID_ARGUMENT
  /// if their sizes differ or are 0.
  [[nodiscard]] static Result<LayerNorm> create(std::span<const float> gamma,
                                                std::span<const float> beta, double eps,
                                                const KernelTable& kernels = best_kernels());
  [[nodiscard]] std::int64_t dim() const noexcept {
    return static_cast<std::int64_t>(gamma_.size());
  }

  /// y = norm(x); y may be x.
  void run(std::int64_t rows, const float* x, float* y) const noexcept;
  /// y = norm(x) + addend; y may be x.
  void run_plus(std::int64_t rows, const float* x, const float* addend, float* y) const noexcept;
  /// x += residual; y = norm(x).
  void run_residual(std::int64_t rows, float* x, const float* residual, float* y) const noexcept;

 private:
  std::span<const float> gamma_;
  std::span<const float> beta_;
  float eps_ = 0;
  const KernelTable* kernels_ = nullptr;
};

}  // namespace qama::ops
