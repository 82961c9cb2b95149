// The one template behind int8_linear_<target>.cpp. First all rows are quantised, then panels of
// weights pass by: a block is some rows by one panel of outputs, whose sums stay in registers over
// the whole length of a row. A set of products (the template's argument) has
//
//   Arch             xsimd's architecture, for floats
//   Stored, kDepth, kPad, kOffset   what Int8LinearKernel says
//   kVectors         vectors of outputs in a panel
//   kRows            the highest block
//   quantise()       one row
//   sums<R, V>()     R rows by V vectors of outputs
//
// Everything here is in an unnamed namespace: each target's file has its own copy, compiled with
// its own flags.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "ops/simd/int8_linear.h"
#include "ops/simd/packed_linear_impl.h"

namespace qama::ops {
namespace {

/// A block: R rows of stored numbers, `stride` apart; a panel's weights, from its first output on;
/// sums to `to` [R][width].
template <class Stored>
struct Int8Block {
  const Stored* x;
  std::int64_t stride;
  const Stored* weights;
  const std::int32_t* starts;
  std::int32_t* to;
};

/// A row's scale, and what its numbers are multiplied by, from the bits of its largest magnitude.
/// As integers, bits of magnitudes rise with them; infinity and NaN are above all.
struct RowScale {
  float scale;
  float inverse;

  explicit RowScale(std::uint32_t largest_bits) : scale(0), inverse(0) {
    constexpr std::uint32_t kInfinity = 0x7F800000U;
    const float largest = std::bit_cast<float>(largest_bits);
    if (largest_bits >= kInfinity) {
      scale = std::numeric_limits<float>::quiet_NaN();
    } else if (largest >= kSmallestRow) {
      scale = largest / 127.0F;
      inverse = 127.0F / largest;
    }
  }
};

inline std::uint32_t magnitude_bits(float x) {
  return std::bit_cast<std::uint32_t>(x) & 0x7FFFFFFFU;
}

template <class Set>
struct Int8Linear {
  using F = xsimd::batch<float, typename Set::Arch>;
  using Stored = typename Set::Stored;
  static constexpr std::int64_t kF = static_cast<std::int64_t>(F::size);
  static constexpr std::int64_t kWidth = Set::kVectors * kF;

  static std::int64_t padded(std::int64_t in) {
    return (in + Set::kPad - 1) / Set::kPad * Set::kPad;
  }

  /// From sums [rows][kWidth] to outputs, `columns` of them.
  template <Activation kActivation>
  static void finish(const float* row_scales, std::int64_t rows, const std::int32_t* sums,
                     const float* scales, const float* bias, float* y, std::int64_t stride,
                     std::int64_t columns) {
    F scale[Set::kVectors];
    F start[Set::kVectors];
    for (int v = 0; v < Set::kVectors; ++v) {
      scale[v] = F::load_unaligned(scales + v * kF);
      start[v] = F::load_unaligned(bias + v * kF);
    }
    const auto value = [&](float row_scale, const std::int32_t* from, int v) {
      const F sum = F(Set::floats(from + v * kF)) * (F(row_scale) * scale[v]) + start[v];
      return PackedLinear<typename Set::Arch, 1>::activate(sum, kActivation);
    };
    for (std::int64_t r = 0; r < rows; ++r, sums += kWidth, y += stride) {
      if (columns == kWidth) {
        for (int v = 0; v < Set::kVectors; ++v) {
          value(row_scales[r], sums, v).store_unaligned(y + v * kF);
        }
        continue;
      }
      for (int v = 0; v * kF < columns; ++v) {
        float all[kF];
        value(row_scales[r], sums, v).store_unaligned(all);
        for (std::int64_t i = 0; i < kF && v * kF + i < columns; ++i) y[v * kF + i] = all[i];
      }
    }
  }

  static void finish(const Int8LinearArgs& a, std::int64_t row, std::int64_t rows,
                     const std::int32_t* sums, std::int64_t o, std::int64_t columns) {
    const auto with = [&]<Activation kActivation>() {
      finish<kActivation>(a.row_scales + row, rows, sums, a.scales + o, a.bias + o,
                          a.y + row * a.out + o, a.out, columns);
    };
    switch (a.activation) {
      case Activation::none:
        return with.template operator()<Activation::none>();
      case Activation::gelu_erf:
        return with.template operator()<Activation::gelu_erf>();
      case Activation::gelu_tanh:
        return with.template operator()<Activation::gelu_tanh>();
    }
  }

  template <int R>
  static void block_of(std::int64_t height, bool narrow, const Int8Block<Stored>& b,
                       std::int64_t length) {
    if (height == R) {
      if (narrow) {
        Set::template sums<R, 1>(b, length);
      } else {
        Set::template sums<R, Set::kVectors>(b, length);
      }
    } else if constexpr (R > 1) {
      block_of<R - 1>(height, narrow, b, length);
    }
  }

  static void run(const Int8LinearArgs& a) {
    auto* quantised = static_cast<Stored*>(a.quantised);
    const std::int64_t length = padded(a.in);
    for (std::int64_t r = 0; r < a.rows; ++r) {
      a.row_scales[r] = Set::quantise(a.x + r * a.in, a.in, quantised + r * length, length);
    }
    const std::int64_t blocks = (a.rows + Set::kRows - 1) / Set::kRows;
    const auto* weights = static_cast<const Stored*>(a.weights);
    alignas(64) std::int32_t sums[Set::kRows * kWidth];
    const std::int32_t* starts = a.starts;
    for (std::int64_t o = 0; o < a.out; o += kWidth, weights += length * kWidth) {
      const std::int64_t columns = a.out - o < kWidth ? a.out - o : kWidth;
      for (std::int64_t b = 0, row = 0; b < blocks; ++b) {
        const std::int64_t height = (a.rows - row + blocks - b - 1) / (blocks - b);
        block_of<Set::kRows>(height, columns <= kF,
                             {quantised + row * length, length, weights, starts, sums}, length);
        finish(a, row, height, sums, o, columns);
        row += height;
      }
      if (starts != nullptr) starts += kWidth;
    }
  }

  static constexpr Int8LinearKernel kernel(std::string_view name) {
    return {name,         kWidth, Set::kDepth, Set::kPad, static_cast<std::int64_t>(sizeof(Stored)),
            Set::kOffset, run};
  }
};

/// A row, from a set's vectors: `bits` gives the largest magnitude's bits of kF floats so far,
/// `store` stores kF rounded products; single numbers as they are.
template <class Set>
float quantise_row(const float* x, std::int64_t in, typename Set::Stored* to, std::int64_t length) {
  using F = xsimd::batch<float, typename Set::Arch>;
  constexpr std::int64_t kF = static_cast<std::int64_t>(F::size);
  using Stored = typename Set::Stored;
  auto most = Set::no_magnitudes();
  std::int64_t k = 0;
  for (; k + kF <= in; k += kF) most = Set::larger(most, F::load_unaligned(x + k));
  std::uint32_t largest = Set::largest(most);
  for (std::int64_t i = k; i < in; ++i) {
    const std::uint32_t bits = magnitude_bits(x[i]);
    largest = bits > largest ? bits : largest;
  }
  const RowScale row(largest);
  if (row.inverse == 0.0F) {  // zeros, or not finite: no product must be rounded
    for (k = 0; k < length; ++k) to[k] = static_cast<Stored>(Set::kOffset);
    return row.scale;
  }
  const F inverse(row.inverse);
  for (k = 0; k + kF <= in; k += kF) Set::store(F::load_unaligned(x + k) * inverse, to + k);
  if (k < in) {
    float rest[kF] = {};
    for (std::int64_t i = k; i < in; ++i) rest[i - k] = x[i];
    Stored stored[kF];
    Set::store(F::load_unaligned(rest) * inverse, stored);
    for (std::int64_t i = k; i < in; ++i) to[i] = stored[i - k];
    k = in;
  }
  for (; k < length; ++k) to[k] = static_cast<Stored>(Set::kOffset);
  return row.scale;
}

}  // namespace
}  // namespace qama::ops
