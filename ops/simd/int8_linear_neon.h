// What the int8 products of 64-bit ARM share, for int8_linear_<target>.cpp: vectors of four floats,
// sixteen inputs of a row at once, panels of eight outputs.
#pragma once

#include "ops/simd/neon_direct.h"

#include <arm_neon.h>

#include "ops/simd/int8_linear_impl.h"

namespace qama::ops {
namespace {

struct NeonRows {
  using Arch = xsimd::neon64;
  using Stored = std::int8_t;
  static constexpr std::int64_t kPad = 16;
  static constexpr std::int32_t kOffset = 0;
  static constexpr int kVectors = 2;
  static constexpr std::int64_t kWidth = 8;

  static float32x4_t floats(const std::int32_t* from) { return vcvtq_f32_s32(vld1q_s32(from)); }

  static uint32x4_t magnitudes(const float* x) {
    return vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x)));
  }
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
    uint32x4_t most = vdupq_n_u32(0);
    std::int64_t k = 0;
    for (; k + 16 <= in; k += 16) {
      const uint32x4_t first = vmaxq_u32(magnitudes(x + k), magnitudes(x + k + 4));
      const uint32x4_t second = vmaxq_u32(magnitudes(x + k + 8), magnitudes(x + k + 12));
      most = vmaxq_u32(most, vmaxq_u32(first, second));
    }
    std::uint32_t largest = vmaxvq_u32(most);
    float rest[16] = {};
    for (std::int64_t i = k; i < in; ++i) {
      rest[i - k] = x[i];
      const std::uint32_t bits = magnitude_bits(x[i]);
      largest = bits > largest ? bits : largest;
    }
    const RowScale row(largest);
    if (row.inverse == 0.0F) {
      for (k = 0; k < length; k += 16) vst1q_s8(to + k, vdupq_n_s8(0));
      return row.scale;
    }
    for (k = 0; k + 16 <= in; k += 16) store(x + k, row.inverse, to + k);
    if (k < in) store(rest, row.inverse, to + k);
    return row.scale;
  }
};

}  // namespace
}  // namespace qama::ops
