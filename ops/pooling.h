// Pooling: the mean or maximum over a sample's tokens before the classifier, and the average
// pooling of the token grid (the paper's Table V).
#pragma once

#include <cstdint>

#include "ops/simd/kernels.h"

namespace qama::ops {

/// y [dim] = mean of x's `rows` rows.
void mean_pool(std::int64_t rows, std::int64_t dim, const float* x, float* y,
               const KernelTable& kernels = best_kernels()) noexcept;

/// y [dim] = largest of each column of x's `rows` rows, rows >= 1.
void max_pool(std::int64_t rows, std::int64_t dim, const float* x, float* y) noexcept;

/// Averages `pool_rows` x `pool_cols` windows of a grid of tokens.
struct TokenPool {
  std::int32_t grid_rows = 0, grid_cols = 0;
  std::int32_t pool_rows = 1, pool_cols = 1;  ///< divide the grid
  std::int64_t dim = 0;

  [[nodiscard]] std::int64_t tokens() const noexcept {
    return static_cast<std::int64_t>(grid_rows / pool_rows) * (grid_cols / pool_cols);
  }
  /// `x` [grid_rows * grid_cols][dim] to `y` [tokens][dim]; must not overlap.
  void run(const float* x, float* y) const noexcept;
};

}  // namespace qama::ops
