// int8 products without vectors. Compiled with that target's flags and nothing else.
#include <algorithm>
#include <array>
#include <cmath>

#include "ops/simd/int8_linear_impl.h"

namespace qama::ops {
namespace {

struct Set {
  using Arch = PlainSet;
  using Stored = std::int8_t;
  static constexpr std::int64_t kDepth = 1, kPad = 1;
  static constexpr std::int32_t kOffset = 0;
  static constexpr int kVectors = 2;
  static constexpr int kRows = 2;
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

  /// Four outputs at a time: so many sums of two rows are registers of every machine.
  template <int R, int V>
  static void sums(const Int8Block<Stored>& b, std::int64_t length) {
    for (int first = 0; first < 4 * V; first += 4) {
      std::int32_t sums[R][4] = {};
      const Stored* weights = b.weights + first;
      for (std::int64_t k = 0; k < length; ++k, weights += kWidth) {
        std::int32_t x[R];
        for (int r = 0; r < R; ++r) x[r] = b.x[r * b.stride + k];
        for (int o = 0; o < 4; ++o) {
          const std::int32_t weight = weights[o];
          for (int r = 0; r < R; ++r) sums[r][o] += x[r] * weight;
        }
      }
      for (int r = 0; r < R; ++r) {
        std::copy_n(sums[r], 4, b.to + static_cast<std::size_t>(r) * kWidth + first);
      }
    }
  }
};

}  // namespace

extern const Int8LinearKernel kInt8Linear_plain;
constexpr Int8LinearKernel kInt8Linear_plain = Int8Linear<Set>::kernel("int8:plain");

}  // namespace qama::ops
