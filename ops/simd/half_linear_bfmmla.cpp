// bf16 products for ARM cores with bfmmla (ARMv8.6-A). Compiled with that target's flags and
// nothing else. bfmmla multiplies two rows of four inputs by two outputs' four weights: a vector of
// weights holds four inputs of two outputs. The last of an odd number of rows is its own neighbour.
#include <arm_neon.h>

#include "ops/simd/int8_linear_neon.h"

namespace qama::ops {
namespace {

struct Set {
  using Arch = NeonSet;
  using Stored = bfloat16_t;
  static constexpr std::int64_t kDepth = 4, kPad = 8;
  static constexpr std::int32_t kOffset = 0;
  static constexpr int kVectors = 2;
  static constexpr std::int64_t kWidth = 8;
  static constexpr int kRows = 8;

  static float32x4_t floats(const std::int32_t* from) {
    return vreinterpretq_f32_s32(vld1q_s32(from));
  }

  static void store(const float* x, Stored* to) {
    vst1q_bf16(to, vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(vld1q_f32(x)), vld1q_f32(x + 4)));
  }

  static float quantise(const float* x, std::int64_t in, Stored* to, std::int64_t /*length*/) {
    std::int64_t k = 0;
    for (; k + 8 <= in; k += 8) store(x + k, to + k);
    if (k < in) {
      float rest[8] = {};
      for (std::int64_t i = k; i < in; ++i) rest[i - k] = x[i];
      store(rest, to + k);
    }
    return 1.0F;
  }

  static bfloat16x8_t load(const Stored* from) { return vld1q_bf16(from); }
  /// The low, or the high, four numbers of both.
  static bfloat16x8_t zip_low(bfloat16x8_t a, bfloat16x8_t b) {
    return vreinterpretq_bf16_u64(vzip1q_u64(vreinterpretq_u64_bf16(a), vreinterpretq_u64_bf16(b)));
  }
  static bfloat16x8_t zip_high(bfloat16x8_t a, bfloat16x8_t b) {
    return vreinterpretq_bf16_u64(vzip2q_u64(vreinterpretq_u64_bf16(a), vreinterpretq_u64_bf16(b)));
  }

  template <int R, int V>
  static void sums(const Int8Block<Stored>& b, std::int64_t length) {
    constexpr int kPairs = (R + 1) / 2;
    float32x4_t sums[kPairs][2 * V];  // [row 0, output 0], [0, 1], [1, 0], [1, 1]
    for (int v = 0; v < 2 * V; ++v) {
      const float32x2_t start = vreinterpret_f32_s32(vld1_s32(b.starts + 2 * v));
      for (int p = 0; p < kPairs; ++p) sums[p][v] = vcombine_f32(start, start);
    }
    const Stored* weights = b.weights;
    for (std::int64_t k = 0; k < length; k += 8, weights += 8 * kWidth) {
      bfloat16x8_t w[2][2 * V];
      for (int g = 0; g < 2; ++g) {
        for (int v = 0; v < 2 * V; ++v) w[g][v] = load(weights + (g * 2 * kVectors + v) * 8);
      }
      for (int p = 0; p < kPairs; ++p) {
        const int second = 2 * p + 1 < R ? 2 * p + 1 : 2 * p;
        const bfloat16x8_t x0 = load(b.x + 2 * p * b.stride + k);
        const bfloat16x8_t x1 = load(b.x + second * b.stride + k);
        const bfloat16x8_t low = zip_low(x0, x1);
        const bfloat16x8_t high = zip_high(x0, x1);
        for (int v = 0; v < 2 * V; ++v) {
          sums[p][v] = vbfmmlaq_f32(vbfmmlaq_f32(sums[p][v], low, w[0][v]), high, w[1][v]);
        }
      }
    }
    auto* to = reinterpret_cast<float*>(b.to);
    for (int p = 0; p < kPairs; ++p) {
      for (int v = 0; v < 2 * V; ++v) {
        float* at = to + 2 * p * kWidth + 2 * v;
        vst1_f32(at, vget_low_f32(sums[p][v]));
        if (2 * p + 1 < R) vst1_f32(at + kWidth, vget_high_f32(sums[p][v]));
      }
    }
  }
};

}  // namespace

extern const Int8LinearKernel kHalfLinear_bfmmla;
constexpr Int8LinearKernel kHalfLinear_bfmmla = Int8Linear<Set>::kernel("bf16:bfmmla");

}  // namespace qama::ops
