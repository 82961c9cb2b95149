// bf16 products for avx512bf16. Compiled with that target's flags and nothing else.
#include "ops/simd/int8_linear_x86.h"

namespace qama::ops {
namespace {

struct Set : Vectors<xsimd::avx512bw> {
  using Stored = std::uint16_t;
  static constexpr std::int64_t kDepth = 2, kPad = 2;
  static constexpr std::int32_t kOffset = 0;
  static I dot(I sum, I x, I w) {
    return _mm512_castps_si512(_mm512_dpbf16_ps(
        _mm512_castsi512_ps(sum), reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(w)));
  }
  static __m512 floats(const std::int32_t* from) { return _mm512_castsi512_ps(load(from)); }
  static float quantise(const float* x, std::int64_t in, Stored* to, std::int64_t length) {
    std::int64_t k = 0;
    for (; k + 32 <= in; k += 32) {
      const __m512bh both =
          _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + k + 16), _mm512_loadu_ps(x + k));
      _mm512_storeu_si512(to + k, reinterpret_cast<__m512i>(both));
    }
    for (; k < length; k += 16) {
      const std::int64_t rest = in - k < 16 ? in - k : 16;
      const std::int64_t stored = length - k < 16 ? length - k : 16;
      const __m512 row = _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << rest) - 1), x + k);
      _mm256_mask_storeu_epi16(to + k, static_cast<__mmask16>((1U << stored) - 1),
                               reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(row)));
    }
    return 1.0F;
  }
  template <int R, int V>
  static void sums(const Int8Block<Stored>& b, std::int64_t length) {
    sums_by_groups<Set, R, V>(b, length);
  }
};

}  // namespace

extern const Int8LinearKernel kHalfLinear_avx512bf16;
constexpr Int8LinearKernel kHalfLinear_avx512bf16 = Int8Linear<Set>::kernel("bf16:avx512bf16");

}  // namespace qama::ops
