// int8 products for avx512vnni. Compiled with that target's flags and nothing else.
#include "ops/simd/int8_linear_x86.h"

namespace qama::ops {
namespace {

struct Set : Vectors<xsimd::avx512bw> {
  using Stored = std::int8_t;  // inputs as unsigned: their bytes
  static constexpr std::int64_t kDepth = 4, kPad = 4;
  static constexpr std::int32_t kOffset = 128;
  static I dot(I sum, I x, I w) { return _mm512_dpbusd_epi32(sum, x, w); }
  static void store(__m512 x, Stored* to) {
    const __m128i bytes =
        _mm_xor_si128(_mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)), _mm_set1_epi8(-128));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
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

extern const Int8LinearKernel kInt8Linear_avx512vnni;
constexpr Int8LinearKernel kInt8Linear_avx512vnni = Int8Linear<Set>::kernel("int8:avx512vnni");

}  // namespace qama::ops
