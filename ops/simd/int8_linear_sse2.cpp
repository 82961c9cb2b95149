// int8 products for sse2. Compiled with that target's flags and nothing else.
#include "ops/simd/int8_linear_x86.h"

namespace qama::ops {
namespace {

struct Set : Vectors<xsimd::sse2> {
  using Stored = std::int16_t;
  static constexpr std::int64_t kDepth = 2, kPad = 2;
  static constexpr std::int32_t kOffset = 0;
  static I dot(I sum, I x, I w) { return _mm_add_epi32(sum, _mm_madd_epi16(x, w)); }
  static void store(__m128 x, Stored* to) {
    const I words = _mm_cvtps_epi32(x);
    _mm_storel_epi64(reinterpret_cast<I*>(to), _mm_packs_epi32(words, words));
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

extern const Int8LinearKernel kInt8Linear_sse2;
constexpr Int8LinearKernel kInt8Linear_sse2 = Int8Linear<Set>::kernel("int8:sse2");

}  // namespace qama::ops
