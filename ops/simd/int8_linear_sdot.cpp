// int8 products for ARM cores with sdot (ARMv8.2-A, optional). Compiled with that target's flags
// and nothing else. A vector of weights holds four inputs of four outputs; sdot multiplies them by
// one of the four groups of a row's sixteen inputs.
#include "ops/simd/int8_linear_neon.h"

namespace qama::ops {
namespace {

struct Set : NeonRows {
  static constexpr std::int64_t kDepth = 4;
  static constexpr int kRows = 8;

  template <int R, int V>
  static void sums(const Int8Block<Stored>& b, std::int64_t length) {
    int32x4_t sums[R][V];
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < V; ++v) sums[r][v] = vdupq_n_s32(0);
    }
    const Stored* weights = b.weights;
    for (std::int64_t k = 0; k < length; k += 16, weights += 16 * kWidth) {
      int8x16_t w[4][V];
      for (int g = 0; g < 4; ++g) {
        for (int v = 0; v < V; ++v) w[g][v] = vld1q_s8(weights + (g * kVectors + v) * 16);
      }
      for (int r = 0; r < R; ++r) {
        const int8x16_t x = vld1q_s8(b.x + r * b.stride + k);
        for (int v = 0; v < V; ++v) {
          sums[r][v] = vdotq_laneq_s32(sums[r][v], w[0][v], x, 0);
          sums[r][v] = vdotq_laneq_s32(sums[r][v], w[1][v], x, 1);
          sums[r][v] = vdotq_laneq_s32(sums[r][v], w[2][v], x, 2);
          sums[r][v] = vdotq_laneq_s32(sums[r][v], w[3][v], x, 3);
        }
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < V; ++v) vst1q_s32(b.to + (r * kVectors + v) * 4, sums[r][v]);
    }
  }
};

}  // namespace

extern const Int8LinearKernel kInt8Linear_sdot;
constexpr Int8LinearKernel kInt8Linear_sdot = Int8Linear<Set>::kernel("int8:sdot");

}  // namespace qama::ops
