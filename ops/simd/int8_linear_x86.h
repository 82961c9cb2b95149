// Products of int8 on x86-64, for int8_linear_<target>.cpp. Without VNNI numbers are kept as int16:
// pmaddwd adds pairs of them exactly, where maddubs would saturate. With VNNI, dpbusd takes
// unsigned inputs: they have 128 added, which the sums' starts take away again. Padding's weights
// are zero, so that it does not matter what it is multiplied by.
#pragma once

#include <immintrin.h>

#include <cstring>

#include "ops/simd/int8_linear_impl.h"

namespace qama::ops {
namespace {

/// R rows by V vectors of outputs on a set that has load(), broadcast() of a group of inputs,
/// dot() and the vector type I; a vector of weights holds one group of every output of its.
template <class Set, int R, int V>
void sums_by_groups(const Int8Block<typename Set::Stored>& b, std::int64_t length) {
  using I = typename Set::I;
  constexpr std::int64_t kF = static_cast<std::int64_t>(sizeof(I) / sizeof(std::int32_t));
  constexpr std::int64_t kGroup = kF * Set::kDepth;        // a vector of weights
  constexpr std::int64_t kPanel = Set::kVectors * kGroup;  // a group of all outputs
  I sums[R][V];
  for (int v = 0; v < V; ++v) {
    const I start = Set::load(b.starts + v * kF);
    for (int r = 0; r < R; ++r) sums[r][v] = start;
  }
  const typename Set::Stored* weights = b.weights;
  for (std::int64_t k = 0; k < length; k += Set::kDepth, weights += kPanel) {
    I w[V];
    for (int v = 0; v < V; ++v) w[v] = Set::load(weights + v * kGroup);
    for (int r = 0; r < R; ++r) {
      std::int32_t group;
      std::memcpy(&group, b.x + r * b.stride + k, sizeof group);
      const I x = Set::broadcast(group);
      for (int v = 0; v < V; ++v) sums[r][v] = Set::dot(sums[r][v], x, w[v]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) Set::store_sums(sums[r][v], b.to + (r * Set::kVectors + v) * kF);
  }
}

#if defined(__AVX512F__)
template <class Architecture>
struct Vectors {
  using Arch = Architecture;
  using I = __m512i;
  static constexpr int kVectors = 2;
  static constexpr int kRows = 12;
  static I load(const void* from) { return _mm512_loadu_si512(from); }
  static void store_sums(I v, std::int32_t* to) { _mm512_storeu_si512(to, v); }
  static I broadcast(std::int32_t group) { return _mm512_set1_epi32(group); }
  static __m512 floats(const std::int32_t* from) { return _mm512_cvtepi32_ps(load(from)); }
  static I no_magnitudes() { return _mm512_setzero_si512(); }
  static I larger(I most, __m512 x) {
    return _mm512_max_epi32(
        most, _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7FFFFFFF)));
  }
  static std::uint32_t largest(I most) {
    return static_cast<std::uint32_t>(_mm512_reduce_max_epi32(most));
  }
};
#elif defined(__AVX2__)
template <class Architecture>
struct Vectors {
  using Arch = Architecture;
  using I = __m256i;
  static constexpr int kVectors = 2;
  static constexpr int kRows = 6;
  static I load(const void* from) { return _mm256_loadu_si256(static_cast<const I*>(from)); }
  static void store_sums(I v, std::int32_t* to) {
    _mm256_storeu_si256(reinterpret_cast<I*>(to), v);
  }
  static I broadcast(std::int32_t group) { return _mm256_set1_epi32(group); }
  static __m256 floats(const std::int32_t* from) { return _mm256_cvtepi32_ps(load(from)); }
  static I no_magnitudes() { return _mm256_setzero_si256(); }
  static I larger(I most, __m256 x) {
    return _mm256_max_epi32(
        most, _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7FFFFFFF)));
  }
  static std::uint32_t largest(I most) {
    std::uint32_t all[8];
    std::memcpy(all, &most, sizeof all);
    std::uint32_t out = 0;
    for (const std::uint32_t one : all) out = one > out ? one : out;
    return out;
  }
  /// Eight rounded products as int16.
  static __m128i round(__m256 x) {
    const __m256i words = _mm256_cvtps_epi32(x);
    return _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  }
};
#else
template <class Architecture>
struct Vectors {
  using Arch = Architecture;
  using I = __m128i;
  static constexpr int kVectors = 2;
  static constexpr int kRows = 6;
  static I load(const void* from) { return _mm_loadu_si128(static_cast<const I*>(from)); }
  static void store_sums(I v, std::int32_t* to) { _mm_storeu_si128(reinterpret_cast<I*>(to), v); }
  static I broadcast(std::int32_t group) { return _mm_set1_epi32(group); }
  static __m128 floats(const std::int32_t* from) { return _mm_cvtepi32_ps(load(from)); }
  static I no_magnitudes() { return _mm_setzero_si128(); }
  static I larger(I most, __m128 x) {
    const I bits = _mm_and_si128(_mm_castps_si128(x), _mm_set1_epi32(0x7FFFFFFF));
    const I above = _mm_cmpgt_epi32(bits, most);
    return _mm_or_si128(_mm_and_si128(above, bits), _mm_andnot_si128(above, most));
  }
  static std::uint32_t largest(I most) {
    std::uint32_t all[4];
    std::memcpy(all, &most, sizeof all);
    std::uint32_t out = 0;
    for (const std::uint32_t one : all) out = one > out ? one : out;
    return out;
  }
};
#endif

}  // namespace
}  // namespace qama::ops
