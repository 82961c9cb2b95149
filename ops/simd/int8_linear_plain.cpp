// int8 products without vectors. Compiled with that target's flags and nothing else.
#include "ops/simd/int8_linear_plain.h"

namespace qama::ops {
namespace {

struct Set : PlainInt8 {
  static constexpr int kRows = 2;

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
