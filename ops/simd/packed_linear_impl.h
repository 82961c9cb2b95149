// The one template behind packed_linear_<target>.cpp. A block is R rows by two vectors of outputs:
// its sums stay in registers over the whole length of a row, start with the bias and leave through
// the activation, so that every output is written once. Rows are split into blocks of nearly equal
// height (49 rows are seven blocks of seven), because a block of one row would wait for its own
// sums.
//
// Everything here is in an unnamed namespace: each target's file has its own copy, compiled with
// its own flags.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "hal/base/vectors.h"
#include "ops/simd/packed_linear.h"

namespace qama::ops {
namespace {

/// kMaxRows: the highest block whose 2 kMaxRows sums leave registers for weights and inputs.
template <class Arch, int kMaxRows>
struct PackedLinear {
  using F = xsimd::batch<float, Arch>;
  static constexpr std::int64_t kF = static_cast<std::int64_t>(F::size);
  static constexpr std::int64_t kWidth = 2 * kF;

  static F load(const float* from) { return F::load_unaligned(from); }

  /// x Phi(x), with erf(x / sqrt 2) = x P(x^2) / Q(x^2): a rational minimax fit of ours on
  /// [0, 5.4], relative error 4e-8; beyond that erf is 1 in single precision.
  static F gelu_erf(F x) {
    const F limit(5.4F);
    const F t = xsimd::min(xsimd::max(x, -limit), limit);
    const F z = t * t;
    F p(2.3372273463250426e-10F);
    p = xsimd::fma(p, z, F(-4.3998269684712607e-08F));
    p = xsimd::fma(p, z, F(6.004206717425819e-06F));
    p = xsimd::fma(p, z, F(0.0002968201873032999F));
    p = xsimd::fma(p, z, F(0.008740170413116729F));
    p = xsimd::fma(p, z, F(0.06761173040619996F));
    p = xsimd::fma(p, z, F(0.7978845306812342F));
    F q(5.50029744943728e-05F);
    q = xsimd::fma(q, z, F(0.0017040563386559314F));
    q = xsimd::fma(q, z, F(0.0278566727769769F));
    q = xsimd::fma(q, z, F(0.2514047773402349F));
    q = xsimd::fma(q, z, F(1.0F));
    const F half = x * F(0.5F);
    return xsimd::fma(half, t * p / q, half);
  }

  static F gelu_tanh(F x) {
    const F u = F(0.7978845608028654F) * xsimd::fma(F(0.044715F) * x, x * x, x);
    const F half = x * F(0.5F);
    return xsimd::fma(half, xsimd::tanh(u), half);
  }

  static F activate(F x, Activation kind) {
    switch (kind) {
      case Activation::none:
        return x;
      case Activation::gelu_erf:
        return gelu_erf(x);
      case Activation::gelu_tanh:
        return gelu_tanh(x);
    }
    return x;
  }

  /// Adds input k of R rows times its weights.
  template <int R>
  static void one_input(const float* const* rows, std::int64_t k, const float* weights, F* low,
                        F* high) {
    const F w0 = load(weights);
    const F w1 = load(weights + kF);
    for (int r = 0; r < R; ++r) {
      const F input(rows[r][k]);
      low[r] = xsimd::fma(input, w0, low[r]);
      high[r] = xsimd::fma(input, w1, high[r]);
    }
  }

#if defined(__aarch64__)
  /// Multiplies by one lane of a vector, which xsimd lacks: four inputs are one load instead of
  /// four.
  template <int R, int kLane>
  static void one_lane(const float32x4_t* inputs, const float* weights, F* low, F* high) {
    const float32x4_t w0 = vld1q_f32(weights + kLane * kWidth);
    const float32x4_t w1 = vld1q_f32(weights + kLane * kWidth + kF);
    for (int r = 0; r < R; ++r) {
      low[r] = vfmaq_laneq_f32(low[r], w0, inputs[r], kLane);
      high[r] = vfmaq_laneq_f32(high[r], w1, inputs[r], kLane);
    }
  }
#endif

  /// The same for inputs k .. k + 3.
  template <int R>
  static void four_inputs(const float* const* rows, std::int64_t k, const float* weights, F* low,
                          F* high) {
#if defined(__aarch64__)
    float32x4_t inputs[R];
    for (int r = 0; r < R; ++r) inputs[r] = vld1q_f32(rows[r] + k);
    one_lane<R, 0>(inputs, weights, low, high);
    one_lane<R, 1>(inputs, weights, low, high);
    one_lane<R, 2>(inputs, weights, low, high);
    one_lane<R, 3>(inputs, weights, low, high);
#else
    for (std::int64_t i = 0; i < 4; ++i) one_input<R>(rows, k + i, weights + i * kWidth, low, high);
#endif
  }

  /// R rows at `x` and `y`, one panel; `columns` of it are stored.
  template <int R>
  static void block(const PackedLinearArgs& a, const float* x, const float* weights,
                    const float* bias, float* y, std::int64_t columns) {
    F low[R];
    F high[R];
    const float* rows[R];
    for (int r = 0; r < R; ++r) {
      low[r] = load(bias);
      high[r] = load(bias + kF);
      rows[r] = x + r * a.in;
    }
#if defined(__wasm__)
    // Pointers that move: an access has room for one register and a number.
#pragma clang loop unroll(disable)
    for (auto left = static_cast<std::uint32_t>(a.in); left != 0; --left) {
      one_input<R>(rows, 0, weights, low, high);
      for (int r = 0; r < R; ++r) ++rows[r];
      weights += kWidth;
    }
#else
    std::int64_t k = 0;
    for (; k + 4 <= a.in; k += 4, weights += 4 * kWidth)
      four_inputs<R>(rows, k, weights, low, high);
    for (; k < a.in; ++k, weights += kWidth) one_input<R>(rows, k, weights, low, high);
#endif
    if (a.activation != Activation::none) {
      for (int r = 0; r < R; ++r) {
        low[r] = activate(low[r], a.activation);
        high[r] = activate(high[r], a.activation);
      }
    }
    for (int r = 0; r < R; ++r, y += a.out) {
      if (columns == kWidth) {
        low[r].store_unaligned(y);
        high[r].store_unaligned(y + kF);
      } else {
        float both[kWidth];
        low[r].store_unaligned(both);
        high[r].store_unaligned(both + kF);
        for (std::int64_t c = 0; c < columns; ++c) y[c] = both[c];
      }
    }
  }

  using Block = void (*)(const PackedLinearArgs& a, const float* x, const float* weights,
                         const float* bias, float* y, std::int64_t columns);
  /// Of heights 1 to kMaxRows.
  template <int... kBelow>
  static constexpr std::array<Block, kMaxRows> blocks(std::integer_sequence<int, kBelow...>) {
    return {block<kBelow + 1>...};
  }

  static void run(const PackedLinearArgs& a) {
    // Called through pointers: in one function, the blocks would share registers.
    static constexpr auto kBlocks = blocks(std::make_integer_sequence<int, kMaxRows>());
    const std::int64_t blocks = (a.rows + kMaxRows - 1) / kMaxRows;
    const float* weights = a.weights;
    const float* bias = a.bias;
    // A panel of weights stays in the nearest cache while all rows pass by.
    for (std::int64_t o = 0; o < a.out; o += kWidth, weights += a.in * kWidth, bias += kWidth) {
      const std::int64_t columns = a.out - o < kWidth ? a.out - o : kWidth;
      for (std::int64_t b = 0, row = 0; b < blocks; ++b) {
        const std::int64_t height = (a.rows - row + blocks - b - 1) / (blocks - b);
        kBlocks[static_cast<std::size_t>(height - 1)](a, a.x + row * a.in, weights, bias,
                                                      a.y + row * a.out + o, columns);
        row += height;
      }
    }
  }

  static constexpr PackedLinearKernel kernel(std::string_view name) {
    return {name, kWidth, run};
  }
};

}  // namespace
}  // namespace qama::ops
