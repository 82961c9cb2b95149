// The kernel of linear layers that this project writes itself, one a target: products of a few
// dozen rows with weights that were packed once. It is what linear_packed.cpp runs, on targets
// where oneDNN has nothing better than a general BLAS. To add a target: packed_linear_<target>.cpp
// with one instantiation and a line in targets.inc.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ops/activation.h"

namespace qama::ops {

/// y = activation(x W^T + b). Nothing may alias; no pointer needs alignment.
struct PackedLinearArgs {
  std::int64_t rows = 0, in = 0, out = 0;
  const float* x = nullptr;  ///< [rows][in]
  const float* weights =
      nullptr;  ///< [panels][in][width]: panel p holds outputs p * width and on, zeros behind `out`
  const float* bias = nullptr;  ///< [panels][width], zeros behind `out` or where there is no bias
  float* y = nullptr;           ///< [rows][out]
  Activation activation = Activation::none;
};

struct PackedLinearKernel {
  std::string_view name;
  std::int64_t width;  ///< outputs a panel
  void (*run)(const PackedLinearArgs&);
};

/// The kernels that this machine can run, the best one last.
[[nodiscard]] std::span<const PackedLinearKernel* const> packed_linear_kernels() noexcept;

}  // namespace qama::ops
