// What int8 products without a vector unit for floats share: panels of eight outputs, inputs as
// they are, rows quantised number by number.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/simd/int8_linear_impl.h"

namespace qama::ops {
namespace {

struct PlainInt8 {
  using Arch = PlainSet;
  using Stored = std::int8_t;
  static constexpr std::int64_t kDepth = 1, kPad = 1;
  static constexpr std::int32_t kOffset = 0;
  static constexpr int kVectors = 2;
  static constexpr std::size_t kWidth = 8;

  static std::array<float, 4> floats(const std::int32_t* from) {
    std::array<float, 4> out;
    for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<float>(from[i]);
    return out;
  }

  static float quantise(const float* x, std::int64_t in, Stored* to, std::int64_t /*length*/) {
    std::uint32_t largest = 0;
    for (std::int64_t k = 0; k < in; ++k) largest = std::max(largest, magnitude_bits(x[k]));
    const RowScale row(largest);
    for (std::int64_t k = 0; k < in; ++k) {
      // Adding 1.5 * 2^23 leaves the rounded integer in the low bits of the float.
      to[k] = row.inverse == 0.0F
                  ? Stored{0}
                  : static_cast<Stored>(
                        std::bit_cast<std::uint32_t>(x[k] * row.inverse + 12582912.0F) & 0xFFU);
    }
    return row.scale;
  }
};

}  // namespace
}  // namespace qama::ops
