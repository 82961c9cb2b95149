// int8 products for ARM cores with smmla (ARMv8.6-A). Compiled with that target's flags and nothing
// else. smmla multiplies two rows of eight inputs by two outputs' eight weights: a vector of
// weights holds eight inputs of two outputs. The last of an odd number of rows is its own
// neighbour.
#include "ops/simd/int8_linear_neon.h"

namespace qama::ops {
namespace {

struct Set : NeonRows {
  static constexpr std::int64_t kDepth = 8;
  static constexpr int kRows = 8;

  static int8x16_t zip_low(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip1q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
  }
  static int8x16_t zip_high(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip2q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
  }

  template <int R, int V>
  static void sums(const Int8Block<Stored>& b, std::int64_t length) {
    constexpr int kPairs = (R + 1) / 2;
    int32x4_t sums[kPairs][2 * V];  // [row 0, output 0], [0, 1], [1, 0], [1, 1]
    for (int p = 0; p < kPairs; ++p) {
      for (int v = 0; v < 2 * V; ++v) sums[p][v] = vdupq_n_s32(0);
    }
    const Stored* weights = b.weights;
    for (std::int64_t k = 0; k < length; k += 16, weights += 16 * kWidth) {
      int8x16_t w[2][2 * V];
      for (int g = 0; g < 2; ++g) {
        for (int v = 0; v < 2 * V; ++v) w[g][v] = vld1q_s8(weights + (g * 2 * kVectors + v) * 16);
      }
      for (int p = 0; p < kPairs; ++p) {
        const int second = 2 * p + 1 < R ? 2 * p + 1 : 2 * p;
        const int8x16_t x0 = vld1q_s8(b.x + 2 * p * b.stride + k);
        const int8x16_t x1 = vld1q_s8(b.x + second * b.stride + k);
        const int8x16_t low = zip_low(x0, x1);
        const int8x16_t high = zip_high(x0, x1);
        for (int v = 0; v < 2 * V; ++v) {
          sums[p][v] = vmmlaq_s32(vmmlaq_s32(sums[p][v], low, w[0][v]), high, w[1][v]);
        }
      }
    }
    for (int p = 0; p < kPairs; ++p) {
      for (int v = 0; v < V; ++v) {
        const int64x2_t left = vreinterpretq_s64_s32(sums[p][2 * v]);
        const int64x2_t right = vreinterpretq_s64_s32(sums[p][2 * v + 1]);
        std::int32_t* to = b.to + (2 * p * kVectors + v) * 4;
        vst1q_s32(to, vreinterpretq_s32_s64(vzip1q_s64(left, right)));
        if (2 * p + 1 < R) {
          vst1q_s32(to + kVectors * 4, vreinterpretq_s32_s64(vzip2q_s64(left, right)));
        }
      }
    }
  }
};

}  // namespace

extern const Int8LinearKernel kInt8Linear_smmla;
constexpr Int8LinearKernel kInt8Linear_smmla = Int8Linear<Set>::kernel("int8:smmla");

}  // namespace qama::ops
