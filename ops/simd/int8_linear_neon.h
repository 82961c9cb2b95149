// What the int8 products of ARM share, for int8_linear_<target>.cpp: vectors of four floats,
// sixteen inputs of a row at once, panels of eight outputs.
#pragma once

#include <arm_neon.h>

#include "ops/simd/neon_direct.h"

#include "ops/simd/int8_linear_impl.h"

namespace qama::ops {
namespace {

#ifndef __aarch64__
// What 32-bit ARM says in other words.
inline int32x4_t vcvtnq_s32_f32(float32x4_t x) {
  // Adding 1.5 * 2^23 leaves the rounded integer in the low bits of the float; x is at most 127.
  const float32x4_t shifted = vaddq_f32(x, vdupq_n_f32(12582912.0F));
  return vsubq_s32(vreinterpretq_s32_f32(shifted), vdupq_n_s32(0x4B400000));
}
inline int16x8_t vqmovn_high_s32(int16x4_t low, int32x4_t high) {
  return vcombine_s16(low, vqmovn_s32(high));
}
inline int8x16_t vqmovn_high_s16(int8x8_t low, int16x8_t high) {
  return vcombine_s8(low, vqmovn_s16(high));
}
inline std::uint32_t vmaxvq_u32(uint32x4_t x) {
  const uint32x2_t half = vpmax_u32(vget_low_u32(x), vget_high_u32(x));
  return vget_lane_u32(vpmax_u32(half, half), 0);
}
inline int16x8_t vmull_high_s8(int8x16_t a, int8x16_t b) {
  return vmull_s8(vget_high_s8(a), vget_high_s8(b));
}
inline int16x8_t vmlal_high_s8(int16x8_t sum, int8x16_t a, int8x16_t b) {
  return vmlal_s8(sum, vget_high_s8(a), vget_high_s8(b));
}
inline int32x4x4_t vld4q_dup_s32(const std::int32_t* from) {
  const int32x4_t four = vld1q_s32(from);
  return {vdupq_lane_s32(vget_low_s32(four), 0), vdupq_lane_s32(vget_low_s32(four), 1),
          vdupq_lane_s32(vget_high_s32(four), 0), vdupq_lane_s32(vget_high_s32(four), 1)};
}
inline int32x4_t vpaddq_s32(int32x4_t a, int32x4_t b) {
  return vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)),
                      vpadd_s32(vget_low_s32(b), vget_high_s32(b)));
}
#endif

inline uint32x4_t magnitudes(const float* x) {
  return vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x)));
}

/// The bits of a row's largest magnitude.
inline std::uint32_t largest_of(const float* x, std::int64_t in) {
  uint32x4_t most = vdupq_n_u32(0);
  std::int64_t k = 0;
  for (; k + 16 <= in; k += 16) {
    const uint32x4_t first = vmaxq_u32(magnitudes(x + k), magnitudes(x + k + 4));
    const uint32x4_t second = vmaxq_u32(magnitudes(x + k + 8), magnitudes(x + k + 12));
    most = vmaxq_u32(most, vmaxq_u32(first, second));
  }
  std::uint32_t largest = vmaxvq_u32(most);
  for (; k < in; ++k) {
    const std::uint32_t bits = magnitude_bits(x[k]);
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

struct NeonRows {
  using Arch = NeonSet;
  using Stored = std::int8_t;
  static constexpr std::int64_t kPad = 16;
  static constexpr std::int32_t kOffset = 0;
  static constexpr int kVectors = 2;
  static constexpr std::int64_t kWidth = 8;

  static float32x4_t floats(const std::int32_t* from) { return vcvtq_f32_s32(vld1q_s32(from)); }

  static int32x4_t rounded(const float* x, float inverse) {
    return vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x), inverse));
  }
  /// Sixteen floats as int8.
  static void store(const float* x, float inverse, Stored* to) {
    const int16x8_t low = vqmovn_high_s32(vqmovn_s32(rounded(x, inverse)), rounded(x + 4, inverse));
    const int16x8_t high =
        vqmovn_high_s32(vqmovn_s32(rounded(x + 8, inverse)), rounded(x + 12, inverse));
    vst1q_s8(to, vqmovn_high_s16(vqmovn_s16(low), high));
  }

  static float quantise(const float* x, std::int64_t in, Stored* to, std::int64_t length) {
    const RowScale row(largest_of(x, in));
    std::int64_t k = 0;
    if (row.inverse == 0.0F) {
      for (; k < length; k += 16) vst1q_s8(to + k, vdupq_n_s8(0));
      return row.scale;
    }
    for (; k + 16 <= in; k += 16) store(x + k, row.inverse, to + k);
    if (k < in) {
      float rest[16] = {};
      for (std::int64_t i = k; i < in; ++i) rest[i - k] = x[i];
      store(rest, row.inverse, to + k);
    }
    return row.scale;
  }
};

}  // namespace
}  // namespace qama::ops
