// The few operations that the kernels need and xsimd 13 lacks, one overload an architecture:
//   mul_high_u16   (a * b) >> 16 of unsigned 16-bit lanes
//   mask_bits      64 comparison results in lane order as one 64-bit word, bit k = lane k
//   lanes_of_bits  the way back: lane k all ones if bit k is set
//   marks_of_bits, min_if, max_if_not   64 bits as each instruction set has them best, and minima
//   and maxima where they are (not) set add_pairs      32-bit lanes plus sums of neighbouring
//   16-bit lanes folded_min, folded_or, repeated   between a vector and rows of 8 lanes
// and four of 64-bit words, written so that compilers make no branch of them and save no register's
// worth:
//   lowest_number, row_if_any, behind_lowest, keep_in_register
// Included only by isa/<target>.cpp; everything has internal linkage, because each of those
// files is compiled with other instruction-set flags.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "hal/base/vectors.h"

/// What must be inlined so that arrays of vectors stay in registers; after a lambda's parameters,
/// before a function.
#define QAMA_INLINE_LAMBDA __attribute__((always_inline))
#define QAMA_ALWAYS_INLINE __attribute__((always_inline)) inline

namespace qama::hal::cpu {
namespace {

/// A head's 64 spins as vectors of 16-bit lanes.
template <class Arch>
using Lanes = xsimd::batch<std::int16_t, Arch>;
template <class Arch>
inline constexpr std::size_t kVectors = 64 / Lanes<Arch>::size;
template <class Arch>
using Lanes64 = std::array<Lanes<Arch>, kVectors<Arch>>;
template <class Arch>
using Mask64 = std::array<xsimd::batch_bool<std::int16_t, Arch>, kVectors<Arch>>;

template <class Arch>
using Lanes32 = xsimd::batch<std::int32_t, Arch>;

/// Eight 16-bit lanes, 128 bits: a vector is one, two or four of them.
#ifdef XSIMD_DEFAULT_ARCH
using Row = xsimd::batch<std::int16_t, PlainSet>;
#else
using Row = xsimd::make_sized_batch_t<std::int16_t, 8>;
#endif

#if XSIMD_WITH_AVX512BW
using Avx512 = xsimd::avx512bw;

inline Lanes<Avx512> mul_high_u16(Lanes<Avx512> a, Lanes<Avx512> b) {
  return _mm512_mulhi_epu16(a, b);
}
inline std::uint64_t mask_bits(const Mask64<Avx512>& m) {
  return _mm512_kunpackd(static_cast<__mmask32>(m[1]), static_cast<__mmask32>(m[0]));
}
inline Lanes32<Avx512> add_pairs(Lanes32<Avx512> sums, Lanes<Avx512> v) {
  return _mm512_add_epi32(sums, _mm512_madd_epi16(v, _mm512_set1_epi16(1)));
}
inline Lanes64<Avx512> lanes_of_bits(std::uint64_t bits, Avx512 /*arch*/) {
  return {Lanes<Avx512>(_mm512_movm_epi16(static_cast<__mmask32>(bits))),
          Lanes<Avx512>(_mm512_movm_epi16(static_cast<__mmask32>(bits >> 32)))};
}
#endif

#if XSIMD_WITH_AVX512BW
inline __m256i upper_half(__m512i v) {
  return _mm512_maskz_extracti64x4_epi64(0xFF, v, 1);  // the plain one makes GCC 12 warn
}
inline Row folded_min(Lanes<Avx512> v) {
  const __m256i two = _mm256_min_epi16(_mm512_castsi512_si256(v), upper_half(v));
  return _mm_min_epi16(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
}
inline Row folded_or(Lanes<Avx512> v) {
  const __m256i two = _mm256_or_si256(_mm512_castsi512_si256(v), upper_half(v));
  return _mm_or_si128(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
}
inline Lanes<Avx512> repeat_row(Row row, Avx512 /*arch*/) {
  return _mm512_broadcast_i32x4(row);
}
#endif

#if XSIMD_WITH_AVX2
using Avx2 = xsimd::avx2;

inline Lanes<Avx2> mul_high_u16(Lanes<Avx2> a, Lanes<Avx2> b) {
  return _mm256_mulhi_epu16(a, b);
}
inline std::uint64_t mask_bits(const Mask64<Avx2>& m) {
  // packs works within 128-bit halves; the permutation restores lane order.
  const auto pair = [](__m256i low, __m256i high) {
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xD8);
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm256_movemask_epi8(packed)));
  };
  return pair(m[0], m[1]) | pair(m[2], m[3]) << 32;
}
inline Lanes32<Avx2> add_pairs(Lanes32<Avx2> sums, Lanes<Avx2> v) {
  return _mm256_add_epi32(sums, _mm256_madd_epi16(v, _mm256_set1_epi16(1)));
}
inline Lanes64<Avx2> lanes_of_bits(std::uint64_t bits, Avx2 /*arch*/) {
  const __m256i weight = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096,
                                           8192, 16384, static_cast<short>(0x8000));
  Lanes64<Avx2> out;
  for (std::size_t k = 0; k < 4; ++k) {
    const __m256i all = _mm256_set1_epi16(static_cast<short>(bits >> (16 * k)));
    out[k] = Lanes<Avx2>(_mm256_cmpeq_epi16(_mm256_and_si256(all, weight), weight));
  }
  return out;
}
#endif

#if XSIMD_WITH_AVX2
inline Row folded_min(Lanes<Avx2> v) {
  return _mm_min_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}
inline Row folded_or(Lanes<Avx2> v) {
  return _mm_or_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}
inline Lanes<Avx2> repeat_row(Row row, Avx2 /*arch*/) {
  return _mm256_broadcastsi128_si256(row);
}
#endif

#if XSIMD_WITH_SSE2
using Sse2 = xsimd::sse2;

inline Lanes<Sse2> mul_high_u16(Lanes<Sse2> a, Lanes<Sse2> b) {
  return _mm_mulhi_epu16(a, b);
}
inline std::uint64_t mask_bits(const Mask64<Sse2>& m) {
  std::uint64_t bits = 0;
  for (std::size_t k = 0; k < 4; ++k) {
    const __m128i packed = _mm_packs_epi16(m[2 * k], m[2 * k + 1]);
    bits |= static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm_movemask_epi8(packed)))
            << (16 * k);
  }
  return bits;
}
inline Lanes32<Sse2> add_pairs(Lanes32<Sse2> sums, Lanes<Sse2> v) {
  return _mm_add_epi32(sums, _mm_madd_epi16(v, _mm_set1_epi16(1)));
}
inline Lanes64<Sse2> lanes_of_bits(std::uint64_t bits, Sse2 /*arch*/) {
  const __m128i weight = _mm_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128);
  Lanes64<Sse2> out;
  for (std::size_t k = 0; k < 8; ++k) {
    const __m128i all = _mm_set1_epi16(static_cast<short>((bits >> (8 * k)) & 0xFF));
    out[k] = Lanes<Sse2>(_mm_cmpeq_epi16(_mm_and_si128(all, weight), weight));
  }
  return out;
}
#endif

#if XSIMD_WITH_NEON
using Neon = NeonSet;

#if XSIMD_WITH_NEON64
inline Lanes<Neon> mul_high_u16(Lanes<Neon> a, Lanes<Neon> b) {
  const uint16x8_t x = vreinterpretq_u16_s16(a);
  const uint16x8_t y = vreinterpretq_u16_s16(b);
  const uint32x4_t low = vmull_u16(vget_low_u16(x), vget_low_u16(y));
  const uint32x4_t high = vmull_high_u16(x, y);
  return vreinterpretq_s16_u16(vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high)));
}
inline std::uint64_t mask_bits(const Mask64<Neon>& m) {
  static constexpr std::uint8_t kWeight[16] = {1, 2, 4, 8, 16, 32, 64, 128,
                                               1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t weight = vld1q_u8(kWeight);
  uint8x16_t part[4];
  for (std::size_t k = 0; k < 4; ++k) {
    // The low byte of each 16-bit result, two vectors side by side, weighted by its bit.
    const uint8x16_t low = vreinterpretq_u8_u16(m[2 * k]);
    const uint8x16_t high = vreinterpretq_u8_u16(m[2 * k + 1]);
    part[k] = vandq_u8(vuzp1q_u8(low, high), weight);
  }
  const uint8x16_t halves = vpaddq_u8(vpaddq_u8(part[0], part[1]), vpaddq_u8(part[2], part[3]));
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(halves, halves)), 0);
}
#else
inline Lanes<Neon> mul_high_u16(Lanes<Neon> a, Lanes<Neon> b) {
  const uint16x8_t x = vreinterpretq_u16_s16(a);
  const uint16x8_t y = vreinterpretq_u16_s16(b);
  const uint32x4_t low = vmull_u16(vget_low_u16(x), vget_low_u16(y));
  const uint32x4_t high = vmull_u16(vget_high_u16(x), vget_high_u16(y));
  return vreinterpretq_s16_u16(vcombine_u16(vshrn_n_u32(low, 16), vshrn_n_u32(high, 16)));
}
inline std::uint64_t mask_bits(const Mask64<Neon>& m) {
  static constexpr std::uint8_t kWeight[8] = {1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x8_t weight = vld1_u8(kWeight);
  uint8x8_t part[4];
  for (std::size_t k = 0; k < 4; ++k) {
    part[k] =
        vpadd_u8(vand_u8(vmovn_u16(m[2 * k]), weight), vand_u8(vmovn_u16(m[2 * k + 1]), weight));
  }
  const uint8x8_t bytes = vpadd_u8(vpadd_u8(part[0], part[1]), vpadd_u8(part[2], part[3]));
  return vget_lane_u64(vreinterpret_u64_u8(bytes), 0);
}
#endif
inline Lanes32<Neon> add_pairs(Lanes32<Neon> sums, Lanes<Neon> v) {
  return vpadalq_s16(sums, v);
}
inline Lanes64<Neon> lanes_of_bits(std::uint64_t bits, Neon /*arch*/) {
  static constexpr std::uint16_t kWeight[8] = {1, 2, 4, 8, 16, 32, 64, 128};
  const uint16x8_t weight = vld1q_u16(kWeight);
  Lanes64<Neon> out;
  for (std::size_t k = 0; k < 8; ++k) {
    const uint16x8_t all = vdupq_n_u16(static_cast<std::uint16_t>((bits >> (8 * k)) & 0xFF));
    out[k] = Lanes<Neon>(vreinterpretq_s16_u16(vtstq_u16(all, weight)));
  }
  return out;
}
#endif

#if XSIMD_WITH_WASM
using Wasm = xsimd::wasm;

inline Lanes<Wasm> mul_high_u16(Lanes<Wasm> a, Lanes<Wasm> b) {
  const v128_t low = wasm_u32x4_extmul_low_u16x8(a, b);
  const v128_t high = wasm_u32x4_extmul_high_u16x8(a, b);
  return Lanes<Wasm>(wasm_i16x8_shuffle(low, high, 1, 3, 5, 7, 9, 11, 13, 15));
}
inline std::uint64_t mask_bits(const Mask64<Wasm>& m) {
  std::uint64_t bits = 0;
  for (std::size_t k = 0; k < 4; ++k) {
    const v128_t packed = wasm_i8x16_narrow_i16x8(m[2 * k], m[2 * k + 1]);
    bits |= static_cast<std::uint64_t>(wasm_i8x16_bitmask(packed)) << (16 * k);
  }
  return bits;
}
inline Lanes32<Wasm> add_pairs(Lanes32<Wasm> sums, Lanes<Wasm> v) {
  return Lanes32<Wasm>(wasm_i32x4_add(sums, wasm_i32x4_extadd_pairwise_i16x8(v)));
}
inline Lanes64<Wasm> lanes_of_bits(std::uint64_t bits, Wasm /*arch*/) {
  const v128_t weight = wasm_i16x8_const(1, 2, 4, 8, 16, 32, 64, 128);
  Lanes64<Wasm> out;
  for (std::size_t k = 0; k < 8; ++k) {
    const v128_t all = wasm_i16x8_splat(static_cast<std::int16_t>((bits >> (8 * k)) & 0xFF));
    out[k] = Lanes<Wasm>(wasm_i16x8_eq(wasm_v128_and(all, weight), weight));
  }
  return out;
}
#endif

#if QAMA_WITH_PLAIN_SET
inline Lanes<PlainSet> mul_high_u16(const Lanes<PlainSet>& a, const Lanes<PlainSet>& b) {
  std::array<std::int16_t, 8> out;
  for (std::size_t k = 0; k < 8; ++k) {
    const std::uint32_t product =
        static_cast<std::uint32_t>(static_cast<std::uint16_t>(a.data[k])) *
        static_cast<std::uint16_t>(b.data[k]);
    out[k] = static_cast<std::int16_t>(product >> 16);
  }
  return out;
}
inline std::uint64_t mask_bits(const Mask64<PlainSet>& m) {
  static_assert(std::endian::native == std::endian::little && sizeof(bool) == 1);
  std::uint64_t bits = 0;
  for (std::size_t k = 0; k < 8; ++k) {
    // Eight bytes of 0 or 1; the product has byte i's in bit 56 + i.
    const auto lanes = std::bit_cast<std::uint64_t>(m[k].data);
    bits |= (lanes * 0x0102040810204080ULL >> 56) << (8 * k);
  }
  return bits;
}
inline Lanes32<PlainSet> add_pairs(const Lanes32<PlainSet>& sums, const Lanes<PlainSet>& v) {
  std::array<std::int32_t, 4> out;
  for (std::size_t k = 0; k < 4; ++k) out[k] = sums.data[k] + v.data[2 * k] + v.data[2 * k + 1];
  return out;
}
inline Lanes64<PlainSet> lanes_of_bits(std::uint64_t bits, PlainSet /*arch*/) {
  Lanes64<PlainSet> out;
  for (std::size_t k = 0; k < 64; ++k) {
    out[k / 8].data[k % 8] = static_cast<std::int16_t>(-static_cast<std::int16_t>(bits >> k & 1));
  }
  return out;
}
#endif

/// Vectors of eight lanes are rows themselves.
template <class Arch>
requires(Lanes<Arch>::size == 8) Row folded_min(const xsimd::batch<std::int16_t, Arch>& v) {
  return Row(typename Row::register_type(v));
}
template <class Arch>
requires(Lanes<Arch>::size == 8) Row folded_or(const xsimd::batch<std::int16_t, Arch>& v) {
  return Row(typename Row::register_type(v));
}
/// A vector of copies of `row`.
template <class Arch>
Lanes<Arch> repeated(const Row& row) {
  if constexpr (Lanes<Arch>::size == 8) {
    return Lanes<Arch>(typename Lanes<Arch>::register_type(row));
  } else {
    return repeat_row(row, Arch{});
  }
}

/// `v` with its lanes' signs turned where `signs`, lanes of 1 and -1, say so.
template <class Arch>
QAMA_ALWAYS_INLINE xsimd::batch<std::int16_t, Arch> with_signs(
    const xsimd::batch<std::int16_t, Arch>& v, const xsimd::batch<std::int16_t, Arch>& signs) {
#if XSIMD_WITH_AVX2
  if constexpr (std::is_same_v<Arch, Avx2>) return Lanes<Avx2>(_mm256_sign_epi16(v, signs));
#endif
  return v * signs;
}

/// 64 marked lanes: masks where an instruction set has them, else lanes of ones.
#if XSIMD_WITH_AVX512BW
template <class Arch>
using Marks =
    std::conditional_t<std::is_same_v<Arch, Avx512>, std::array<__mmask32, 2>, Lanes64<Arch>>;
inline std::array<__mmask32, 2> marks_of_bits(std::uint64_t bits, Avx512 /*arch*/) {
  return {static_cast<__mmask32>(bits), static_cast<__mmask32>(bits >> 32)};
}
inline Lanes<Avx512> min_if(__mmask32 mark, Lanes<Avx512> a, Lanes<Avx512> b) {
  return _mm512_mask_min_epi16(a, mark, a, b);
}
inline Lanes<Avx512> max_if_not(__mmask32 mark, Lanes<Avx512> a, Lanes<Avx512> b) {
  return _mm512_mask_max_epi16(a, _knot_mask32(mark), a, b);
}
#else
template <class Arch>
using Marks = Lanes64<Arch>;
template <class Arch>
Lanes64<Arch> marks_of_bits(std::uint64_t bits, Arch arch) {
  return lanes_of_bits(bits, arch);
}
/// The lower of `a` and `b` where marked, else `a`.
template <class Arch>
xsimd::batch<std::int16_t, Arch> min_if(const xsimd::batch<std::int16_t, Arch>& mark,
                                        const xsimd::batch<std::int16_t, Arch>& a,
                                        const xsimd::batch<std::int16_t, Arch>& b) {
  return xsimd::min(
      a, (b & mark) |
             xsimd::bitwise_andnot(xsimd::batch<std::int16_t, Arch>(std::int16_t{32767}), mark));
}
/// The higher of them where not marked, else `a`.
template <class Arch>
xsimd::batch<std::int16_t, Arch> max_if_not(const xsimd::batch<std::int16_t, Arch>& mark,
                                            const xsimd::batch<std::int16_t, Arch>& a,
                                            const xsimd::batch<std::int16_t, Arch>& b) {
  return xsimd::max(a, xsimd::bitwise_andnot(b, mark) |
                           (xsimd::batch<std::int16_t, Arch>(std::int16_t{-32768}) & mark));
}
#endif

/// The number of the lowest bit of `bits`; if there is none, any number up to 64.
QAMA_ALWAYS_INLINE std::uint64_t lowest_number(std::uint64_t bits) {
#if defined(__BMI__)
  return _tzcnt_u64(bits);
#else
  return static_cast<std::uint64_t>(__builtin_ctzll(bits | std::uint64_t{1} << 63));
#endif
}

/// Row `i` of `rows`, which are `stride` numbers apart, if there are `bits`; else `nothing`. Half
/// of the time nobody knows which, so it must not be a branch.
QAMA_ALWAYS_INLINE const std::int16_t* row_if_any(std::uint64_t bits, std::uint64_t i,
                                                  const std::int16_t* rows, std::size_t stride,
                                                  const std::int16_t* nothing) {
  // An address, because without a bit it is none of the rows.
  std::uintptr_t row = reinterpret_cast<std::uintptr_t>(rows) +
                       static_cast<std::size_t>(i) * stride * sizeof(std::int16_t);
#if defined(__x86_64__)
  asm("testq %1, %1\n\tcmovzq %2, %0" : "+r"(row) : "r"(bits), "r"(nothing) : "cc");
#else
  asm("" : "+r"(nothing));  // else its zeros are known, and loading them becomes a branch
  row = bits != 0 ? row : reinterpret_cast<std::uintptr_t>(nothing);
#endif
  return reinterpret_cast<const std::int16_t*>(row);
}

/// The bits of `bits` behind the lowest bit of `now`; none if `now` has none.
QAMA_ALWAYS_INLINE std::uint64_t behind_lowest(std::uint64_t bits, std::uint64_t now) {
  asm(""
      : "+r"(now));  // else a compiler keeps now ^ (now - 1) from elsewhere in a register that it
                     // lacks
  return bits & ~(now ^ (now - 1));
}

/// Makes the compiler forget how `pointer` came about, so that it does not keep the parts instead.
QAMA_ALWAYS_INLINE void keep_in_register(const std::int16_t*& pointer) {
  asm("" : "+r"(pointer));
}

/// The sum of vectors of 16-bit numbers: at most 2^15 vectors, so that 32-bit lanes hold it.
template <class Arch>
class Sums {
 public:
  void add(Lanes<Arch> v) { sums_ = add_pairs(sums_, v); }
  /// The sum so far; the next one starts from 0.
  [[nodiscard]] std::int64_t take() {
    alignas(64) std::array<std::int32_t, Lanes32<Arch>::size> lane;
    sums_.store_aligned(lane.data());
    std::int64_t sum = 0;
    for (const std::int32_t value : lane) sum += value;
    sums_ = Lanes32<Arch>(std::int32_t{0});
    return sum;
  }

 private:
  Lanes32<Arch> sums_{std::int32_t{0}};
};

}  // namespace
}  // namespace qama::hal::cpu
