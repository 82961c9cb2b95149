#include "ops/pooling.h"

#include <algorithm>

namespace qama::ops {

void mean_pool(std::int64_t rows, std::int64_t dim, const float* x, float* y,
               const KernelTable& kernels) noexcept {
  kernels.mean_rows({.rows = rows, .dim = dim, .x = x, .y = y});
}

void max_pool(std::int64_t rows, std::int64_t dim, const float* x, float* y) noexcept {
  std::copy_n(x, dim, y);
  for (std::int64_t i = 1; i < rows; ++i) {
    x += dim;
    for (std::int64_t d = 0; d < dim; ++d) y[d] = x[d] > y[d] ? x[d] : y[d];
  }
}

void TokenPool::run(const float* x, float* y) const noexcept {
  const float share = 1.0F / static_cast<float>(pool_rows * pool_cols);
  for (std::int32_t r = 0; r < grid_rows; r += pool_rows) {
    for (std::int32_t c = 0; c < grid_cols; c += pool_cols) {
      for (std::int64_t d = 0; d < dim; ++d) y[d] = 0.0F;
      for (std::int32_t i = 0; i < pool_rows; ++i) {
        for (std::int32_t j = 0; j < pool_cols; ++j) {
          const float* token = x + (static_cast<std::int64_t>(r + i) * grid_cols + c + j) * dim;
          for (std::int64_t d = 0; d < dim; ++d) y[d] += token[d];
        }
      }
      for (std::int64_t d = 0; d < dim; ++d) y[d] *= share;
      y += dim;
    }
  }
}

}  // namespace qama::ops
