#include "ops/layer_norm.h"

#include <string>

namespace qama::ops {

Result<LayerNorm> LayerNorm::create(std::span<const float> gamma, std::span<const float> beta,
                                    double eps, const KernelTable& kernels) {
  if (gamma.empty() || gamma.size() != beta.size()) {
    return Error{ErrorCode::invalid_argument, "layer norm: " + std::to_string(gamma.size()) +
                                                  " scales and " + std::to_string(beta.size()) +
                                                  " shifts, expected the same number, at least 1"};
  }
  LayerNorm out;
  out.gamma_ = gamma;
  out.beta_ = beta;
  out.eps_ = static_cast<float>(eps);
  out.kernels_ = &kernels;
  return out;
}

void LayerNorm::run(std::int64_t rows, const float* x, float* y) const noexcept {
  run_plus(rows, x, nullptr, y);
}

void LayerNorm::run_plus(std::int64_t rows, const float* x, const float* addend,
                         float* y) const noexcept {
  // Without a residual the kernel only reads x.
  kernels_->layer_norm({.rows = rows,
                        .dim = dim(),
                        .x = const_cast<float*>(x),
                        .residual = nullptr,
                        .gamma = gamma_.data(),
                        .beta = beta_.data(),
                        .addend = addend,
                        .y = y,
                        .eps = eps_});
}

void LayerNorm::run_residual(std::int64_t rows, float* x, const float* residual,
                             float* y) const noexcept {
  kernels_->layer_norm({.rows = rows,
                        .dim = dim(),
                        .x = x,
                        .residual = residual,
                        .gamma = gamma_.data(),
                        .beta = beta_.data(),
                        .addend = nullptr,
                        .y = y,
                        .eps = eps_});
}

}  // namespace qama::ops
