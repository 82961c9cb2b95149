// LayerNorm: a row's mean and variance brought to 0 and 1, then gamma and beta; fused with what
// stands beside it in a pre-norm transformer: the residual before, the position after.
#pragma once

#include <cstdint>
#include <span>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "ops/simd/kernels.h"

namespace qama::ops {

/// Immutable after create().
class LayerNorm {
 public:
  LayerNorm() = default;
  /// `gamma`, `beta` [dim], copied. INVALID_ARGUMENT if their sizes differ or are 0.
  [[nodiscard]] static Result<LayerNorm> create(std::span<const float> gamma,
                                                std::span<const float> beta, double eps,
                                                const KernelTable& kernels = best_kernels());
  [[nodiscard]] std::int64_t dim() const noexcept {
    return static_cast<std::int64_t>(gamma_.size());
  }
  [[nodiscard]] std::size_t weight_bytes() const noexcept {
    return 2 * gamma_.size() * sizeof(float);
  }

  /// y = norm(x); y may be x.
  void run(std::int64_t rows, const float* x, float* y) const noexcept;
  /// y = norm(x) + addend; y may be x.
  void run_plus(std::int64_t rows, const float* x, const float* addend, float* y) const noexcept;
  /// x += residual; y = norm(x).
  void run_residual(std::int64_t rows, float* x, const float* residual, float* y) const noexcept;

 private:
  AlignedBuffer<float> gamma_;
  AlignedBuffer<float> beta_;
  float eps_ = 0;
  const KernelTable* kernels_ = nullptr;
};

}  // namespace qama::ops
