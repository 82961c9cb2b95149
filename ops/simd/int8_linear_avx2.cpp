// int8 products for avx2. Compiled with that target's flags and nothing else.
#include "ops/simd/int8_linear_x86.h"

namespace qama::ops {
namespace {

struct Set : Vectors<xsimd::fma3<xsimd::avx2>> {
  using Stored = std::int16_t;
  static constexpr std::int64_t kDepth = 2, kPad = 2;
  static constexpr std::int32_t kOffset = 0;
  static I dot(I sum, I x, I w) { return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w)); }
  static void store(__m256 x, Stored* to) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), round(x));
  }
  static float quantise(const float* x, std::int64_t in, Stored* to, std::int64_t length) {
    return quantise_row<Set>(x, in, to, length);
  }
  template <int R, int V>
  static void sums(const Int8Block<Stored>& b, std::int64_t length) {
    sums_by_groups<Set, R, V>(b, length);
  }
};

}  // namespace

extern const Int8LinearKernel kInt8Linear_avx2;
constexpr Int8LinearKernel kInt8Linear_avx2 = Int8Linear<Set>::kernel("int8:avx2");

}  // namespace qama::ops
