// f16 products for ARM cores with fp16 (ARMv8.2-A, optional). Compiled with that target's flags and
// nothing else. A block's sums of sixteen outputs are two registers of halves a row; fmla
// multiplies a vector of weights by one of a row's eight inputs. Sums of blocks stay in memory.
#include <arm_neon.h>

#include "ops/simd/half_linear.h"
#include "ops/simd/int8_linear_neon.h"

namespace qama::ops {
namespace {

struct Set {
  using Arch = NeonSet;
  using Stored = float16_t;
  static constexpr std::int64_t kDepth = 1, kPad = 8;
  static constexpr std::int32_t kOffset = 0;
  static constexpr int kVectors = 4;
  static constexpr std::int64_t kWidth = 16;
  static constexpr int kRows = 8;

  static float32x4_t floats(const std::int32_t* from) {
    return vreinterpretq_f32_s32(vld1q_s32(from));
  }

  static void store(const float* x, float inverse, Stored* to) {
    vst1q_f16(to, vcombine_f16(vcvt_f16_f32(vmulq_n_f32(vld1q_f32(x), inverse)),
                               vcvt_f16_f32(vmulq_n_f32(vld1q_f32(x + 4), inverse))));
  }

  static float quantise(const float* x, std::int64_t in, Stored* to, std::int64_t length) {
    const std::uint32_t largest = largest_of(x, in);
    float scale = 0;
    float inverse = 0;
    constexpr std::uint32_t kInfinity = 0x7F800000U;
    if (largest >= kInfinity) {
      scale = std::bit_cast<float>(kInfinity | 1U << 22);
    } else if (std::bit_cast<float>(largest) >= kSmallestRow) {
      const std::uint32_t exponent = largest & kInfinity;
      scale = std::bit_cast<float>(exponent - (9U << 23));
      inverse = std::bit_cast<float>((254U << 23) - exponent + (9U << 23));
    }
    float rest[8] = {};
    if (inverse == 0.0F) {
      for (std::int64_t k = 0; k < length; k += 8) store(rest, 0.0F, to + k);
      return scale;
    }
    std::int64_t k = 0;
    for (; k + 8 <= in; k += 8) store(x + k, inverse, to + k);
    if (k < in) {
      for (std::int64_t i = k; i < in; ++i) rest[i - k] = x[i];
      store(rest, inverse, to + k);
    }
    return scale;
  }

  /// fmla by one lane, of which g++ 12 makes two instructions. "x": registers 0 to 15.
  template <int kLane>
  static float16x8_t multiply_add(float16x8_t sum, float16x8_t w, float16x8_t x) {
    asm("fmla %0.8h, %1.8h, %2.h[%3]" : "+w"(sum) : "w"(w), "x"(x), "i"(kLane));
    return sum;
  }

  /// Adds input kLane of R rows times its weights.
  template <int R, int H, int kLane>
  static void add_lane(const float16x8_t* x, const Stored* weights, float16x8_t (*sums)[H]) {
    for (int h = 0; h < H; ++h) {
      const float16x8_t w = vld1q_f16(weights + kLane * kWidth + h * 8);
      for (int r = 0; r < R; ++r) sums[r][h] = multiply_add<kLane>(sums[r][h], w, x[r]);
    }
  }

  template <int R, int V>
  static void sums(const Int8Block<Stored>& b, std::int64_t length) {
    constexpr int H = (V + 1) / 2;
    auto* to = reinterpret_cast<float*>(b.to);
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < 2 * H; ++v) vst1q_f32(to + r * kWidth + v * 4, vdupq_n_f32(0));
    }
    const Stored* weights = b.weights;
    for (std::int64_t begin = 0; begin < length; begin += kHalfBlock) {
      const std::int64_t end = length - begin < kHalfBlock ? length : begin + kHalfBlock;
      float16x8_t sums[R][H];
      for (int r = 0; r < R; ++r) {
        for (int h = 0; h < H; ++h) sums[r][h] = vdupq_n_f16(0);
      }
      for (std::int64_t k = begin; k < end; k += 8, weights += 8 * kWidth) {
        float16x8_t x[R];
        for (int r = 0; r < R; ++r) x[r] = vld1q_f16(b.x + r * b.stride + k);
        add_lane<R, H, 0>(x, weights, sums);
        add_lane<R, H, 1>(x, weights, sums);
        add_lane<R, H, 2>(x, weights, sums);
        add_lane<R, H, 3>(x, weights, sums);
        add_lane<R, H, 4>(x, weights, sums);
        add_lane<R, H, 5>(x, weights, sums);
        add_lane<R, H, 6>(x, weights, sums);
        add_lane<R, H, 7>(x, weights, sums);
      }
      // Else g++ 12 keeps the sums of blocks in registers, of which there are too few.
      asm volatile("" : : : "memory");
      for (int r = 0; r < R; ++r) {
        for (int h = 0; h < H; ++h) {
          float* at = to + r * kWidth + h * 8;
          vst1q_f32(at, vaddq_f32(vld1q_f32(at), vcvt_f32_f16(vget_low_f16(sums[r][h]))));
          vst1q_f32(at + 4, vaddq_f32(vld1q_f32(at + 4), vcvt_high_f32_f16(sums[r][h])));
        }
      }
    }
  }
};

}  // namespace

extern const Int8LinearKernel kHalfLinear_fp16;
constexpr Int8LinearKernel kHalfLinear_fp16 = Int8Linear<Set>::kernel("f16:fp16");

}  // namespace qama::ops
