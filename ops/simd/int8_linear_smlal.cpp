// int8 products for every ARM core with Advanced SIMD. Compiled with that target's flags and
// nothing else.
//
// Two products of numbers of at most 127 fit int16: smull and smlal make eight such sums, sadalp
// adds pairs of them to int32. A vector of weights holds four inputs of four outputs, and ld4r
// repeats four inputs of a row for each.
#include "ops/simd/int8_linear_neon.h"

namespace qama::ops {
namespace {

struct Set : NeonRows {
  static constexpr std::int64_t kDepth = 4;
  static constexpr int kRows = 4;

  /// Adds inputs of two groups of four to sums of four outputs: of the first two, and the others.
  static void add(int32x4_t& low, int32x4_t& high, int8x16_t x0, int8x16_t w0, int8x16_t x1,
                  int8x16_t w1) {
    const int16x8_t first = vmull_s8(vget_low_s8(w0), vget_low_s8(x0));
    low = vpadalq_s16(low, vmlal_s8(first, vget_low_s8(w1), vget_low_s8(x1)));
    high = vpadalq_s16(high, vmlal_high_s8(vmull_high_s8(w0, x0), w1, x1));
  }

  template <int R, int V>
  static void sums(const Int8Block<Stored>& b, std::int64_t length) {
    int32x4_t sums[R][V][2];
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < V; ++v) sums[r][v][0] = sums[r][v][1] = vdupq_n_s32(0);
    }
    const Stored* rows[R];
    for (int r = 0; r < R; ++r) rows[r] = b.x + r * b.stride;
    const Stored* weights = b.weights;
    for (std::int64_t k = 0; k < length; k += 16, weights += 16 * kWidth) {
      int8x16_t w[4][V];
      for (int g = 0; g < 4; ++g) {
        for (int v = 0; v < V; ++v) w[g][v] = vld1q_s8(weights + (g * kVectors + v) * 16);
      }
      for (int r = 0; r < R; ++r) {
        const int32x4x4_t four = vld4q_dup_s32(reinterpret_cast<const std::int32_t*>(rows[r]));
        rows[r] += 16;
        for (int v = 0; v < V; ++v) {
          add(sums[r][v][0], sums[r][v][1], vreinterpretq_s8_s32(four.val[0]), w[0][v],
              vreinterpretq_s8_s32(four.val[1]), w[1][v]);
          add(sums[r][v][0], sums[r][v][1], vreinterpretq_s8_s32(four.val[2]), w[2][v],
              vreinterpretq_s8_s32(four.val[3]), w[3][v]);
        }
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < V; ++v) {
        vst1q_s32(b.to + (r * kVectors + v) * 4, vpaddq_s32(sums[r][v][0], sums[r][v][1]));
      }
    }
  }
};

}  // namespace

extern const Int8LinearKernel kInt8Linear_smlal;
constexpr Int8LinearKernel kInt8Linear_smlal = Int8Linear<Set>::kernel("int8:smlal");

}  // namespace qama::ops
