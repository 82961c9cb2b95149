// The kernels of linear layers in int8, one a target: weights with a scale per output, inputs
// quantised per row on the fly, sums in int32. What is quantised and every sum are equal on all
// targets, bit for bit, and so is the result before the activation. To add a target:
// int8_linear_<target>.cpp with its products and a line in int8_targets.inc.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ops/activation.h"

namespace qama::ops {

/// y = activation(x W^T + b), where a row of x is q * row_scale and a row of W is w * scale:
///
///     largest = max_k |x_k|        row_scale = largest / 127        q_k = round(x_k * (127 /
///     largest)) y_o = float(sum_k q_k w_ok) * (row_scale * scale_o) + b_o
///
/// Rounded to the nearest, ties to even, in single precision, in this order. A row whose largest
/// is below kSmallestRow counts as zero; one with a number that is not finite has row_scale NaN.
/// Nothing may alias; no pointer but `quantised` needs alignment.
struct Int8LinearArgs {
  std::int64_t rows = 0, in = 0, out = 0;
  const float* x = nullptr;       ///< [rows][in]
  const void* weights = nullptr;  ///< as Int8LinearKernel says
  const float* scales = nullptr;  ///< [panels][width], zeros behind `out`
  const float* bias = nullptr;    ///< [panels][width], zeros behind `out` or without a bias
  /// [panels][width]: what each sum begins with: -offset times the sum of the output's weights.
  /// May be null for kernels without an offset, which do not read it.
  const std::int32_t* starts = nullptr;
  void* quantised = nullptr;    ///< [rows][padded in] stored numbers, memory for the kernel
  float* row_scales = nullptr;  ///< [rows], memory for the kernel
  float* y = nullptr;           ///< [rows][out]
  Activation activation = Activation::none;
};

/// 2^-100: 127 over it is still a float.
inline constexpr float kSmallestRow = 7.8886090522101181e-31F;

/// Weights lie as [panels][padded in / depth][width][depth]: panel p holds outputs p * width and
/// on, zeros behind `out` and `in`. `in` is padded to a multiple of `pad`, which depth divides.
struct Int8LinearKernel {
  std::string_view name;
  std::int64_t width;   ///< outputs a panel
  std::int64_t depth;   ///< inputs of an output that lie together
  std::int64_t pad;     ///< inputs that are taken at once
  std::int64_t bytes;   ///< of a stored number: 1, or 2 where the products want int16
  std::int32_t offset;  ///< 128 where inputs are stored unsigned, else 0
  void (*run)(const Int8LinearArgs&);
};

/// The kernels that this machine can run, the best one last.
[[nodiscard]] std::span<const Int8LinearKernel* const> int8_linear_kernels() noexcept;

}  // namespace qama::ops
