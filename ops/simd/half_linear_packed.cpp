// bf16 products of any machine: the kernel of floats, on numbers that are rounded to bf16. Both of
// a pair of inputs change places, in weights and rows alike, so that they are added in the order of
// half_linear.h.
#include <bit>
#include <cstdint>

#include "ops/simd/half_linear.h"
#include "ops/simd/packed_linear.h"

namespace qama::ops {
namespace {

/// To nearest, ties to even; what is below 2^-126 to zero.
float rounded(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  std::uint32_t out = bits + 0x7FFFU + (bits >> 16 & 1U);
  if (magnitude < 0x00800000U) out = bits & 0x80000000U;
  if (magnitude > 0x7F800000U) out = bits;
  return std::bit_cast<float>(out & 0xFFFF0000U);
}

void run(const Int8LinearArgs& a) {
  const std::int64_t length = (a.in + 1) / 2 * 2;
  auto* rows = static_cast<float*>(a.quantised);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const float* x = a.x + r * a.in;
    float* to = rows + r * length;
    for (std::int64_t k = 0; k + 2 <= a.in; k += 2) {
      to[k] = rounded(x[k + 1]);
      to[k + 1] = rounded(x[k]);
    }
    if (length > a.in) {
      to[length - 2] = 0.0F;
      to[length - 1] = rounded(x[a.in - 1]);
    }
  }
  packed_linear_kernels().back()->run({.rows = a.rows,
                                       .in = length,
                                       .out = a.out,
                                       .x = rows,
                                       .weights = static_cast<const float*>(a.weights),
                                       .bias = reinterpret_cast<const float*>(a.starts),
                                       .y = a.y,
                                       .activation = a.activation});
}

}  // namespace

extern const Int8LinearKernel kHalfLinear_packed;
const Int8LinearKernel kHalfLinear_packed = {
    "bf16:packed", packed_linear_kernels().back()->width, 1, 2, sizeof(float), 0, run};

}  // namespace qama::ops
