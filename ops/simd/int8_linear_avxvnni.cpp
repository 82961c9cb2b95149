// int8 products for avxvnni: avx2 with dpbusd. Compiled with that target's flags and nothing else.
#include "ops/simd/int8_linear_x86.h"

namespace qama::ops {
namespace {

struct Set : Vectors<xsimd::fma3<xsimd::avx2>> {
  using Stored = std::int8_t;  // inputs as unsigned: their bytes
  static constexpr std::int64_t kDepth = 4, kPad = 4;
  static constexpr std::int32_t kOffset = 128;
  static I dot(I sum, I x, I w) { return _mm256_dpbusd_avx_epi32(sum, x, w); }
  static void store(__m256 x, Stored* to) {
    const __m128i words = round(x);
    const __m128i bytes = _mm_xor_si128(_mm_packs_epi16(words, words), _mm_set1_epi8(-128));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), bytes);
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

extern const Int8LinearKernel kInt8Linear_avxvnni;
constexpr Int8LinearKernel kInt8Linear_avxvnni = Int8Linear<Set>::kernel("int8:avxvnni");

}  // namespace qama::ops
