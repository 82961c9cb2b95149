// int8 products with the vectors of Cortex-M (MVE, Helium): four outputs an instruction, each input
// taken for all of a panel. Compiled for boards that have them.
#include <arm_mve.h>

#include "ops/simd/int8_linear_plain.h"

namespace qama::ops {
namespace {

struct Set : PlainInt8 {
  static constexpr int kRows = 3;  // six sums and two vectors of weights are the eight registers

  template <int R, int V>
  static void sums(const Int8Block<Stored>& b, std::int64_t length) {
    int32x4_t sums[R][V];
    for (auto& row : sums) {
      for (int32x4_t& sum : row) sum = vdupq_n_s32(0);
    }
    const Stored* weights = b.weights;
    for (std::int32_t k = 0; k < static_cast<std::int32_t>(length); ++k, weights += kWidth) {
      int32x4_t weight[V];
      for (int v = 0; v < V; ++v) weight[v] = vldrbq_s32(weights + 4 * v);
      for (int r = 0; r < R; ++r) {
        const std::int32_t x = b.x[r * b.stride + k];
        for (int v = 0; v < V; ++v) sums[r][v] = vmlaq_n_s32(sums[r][v], weight[v], x);
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < V; ++v) {
        vst1q_s32(b.to + static_cast<std::size_t>(r) * kWidth + 4 * v, sums[r][v]);
      }
    }
  }
};

}  // namespace

extern const Int8LinearKernel kInt8Linear_mve;
constexpr Int8LinearKernel kInt8Linear_mve = Int8Linear<Set>::kernel("int8:mve");

}  // namespace qama::ops
