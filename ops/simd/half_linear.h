// The kernels of linear layers in half precision, one a target: weights are stored so, inputs are
// rounded to the same while the layer runs, sums are floats. To add a target:
// half_linear_<target>.cpp with its products and a line in half_targets.inc.
//
// bf16: y_o = activation(sum), and the sum begins with b_o. Products of inputs 1, 0, 3, 2, 5, 4 ...
// are added one after the other, each sum rounded to nearest, ties to even; a product is exact in
// float. A number below 2^-126 counts as zero, behind the last input there are zeros. That is what
// the instruction of AVX512-BF16 does, and what any machine can do in floats: all results are
// equal, bit for bit, unless a sum or a product is below 2^-126. bfmmla of ARM adds in an order of
// its own and does not round to the nearest: its sums are within 2^-22 in (|b_o| + sum_k |x_k
// w_ok|).
//
// f16: x = q * row_scale, W = w * scale, both scales powers of two:
//
//     512 <= max_k |q_k| < 1024        0.5 <= max_k |w_ok| < 1        q, w rounded to f16
//     y_o = activation(sum * (row_scale * scale_o) + b_o)
//
// kHalfBlock products at a time are added in f16, in the order of the inputs, each sum rounded
// once, and never more than 2^15; then the block is added to the sum, a float. A row whose largest
// is below kSmallestRow counts as zero; one with a number that is not finite has row_scale NaN.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

#include "ops/simd/int8_linear.h"

namespace qama::ops {

enum class Half : std::uint8_t;  // ops/linear.h

inline constexpr std::int64_t kHalfBlock = 32;

/// scale_o of weights of at most `largest`, which is a float of f16's range.
[[nodiscard]] constexpr float half_weight_scale(float largest) noexcept {
  // Twice the power of two below it.
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(largest) & 0x7F800000U;
  return exponent == 0 ? 1.0F : std::bit_cast<float>(exponent + 0x00800000U);
}

/// The kernels of `kind` that this machine can run, the best one last; there may be none of f16.
/// Tables and arguments are those of int8, with other meanings: bf16 has its biases, as floats, in
/// `starts`, and -0 in `bias`; numbers are stored as halves, or as floats where `bytes` is 4.
[[nodiscard]] std::span<const Int8LinearKernel* const> half_linear_kernels(Half kind) noexcept;

}  // namespace qama::ops
