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
  static constexpr int kRows = 1;
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

  template <int R, int V>
  static void sums(const Int8Block<Stored>& b, std::int64_t length) {
    static_assert(R == 1);
    std::array<std::int32_t, 4 * V> sums{};
    const Stored* weights = b.weights;
    for (std::int64_t k = 0; k < length; ++k, weights += kWidth) {
      const std::int32_t x = b.x[k];
      for (std::size_t o = 0; o < sums.size(); ++o) sums[o] += x * weights[o];
    }
    std::copy(sums.begin(), sums.end(), b.to);
  }
};

}  // namespace

extern const Int8LinearKernel kInt8Linear_plain;
constexpr Int8LinearKernel kInt8Linear_plain = Int8Linear<Set>::kernel("int8:plain");

}  // namespace qama::ops
