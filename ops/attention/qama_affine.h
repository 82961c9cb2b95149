// Normalisation of a head's J or h as one scale and shift; shared by the front ends.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace qama::ops {

/// Of one sample's standardisation followed by the stored scale and shift, as one scale and shift.
struct Affine {
  double scale = 1, shift = 0;
};

inline Affine standardised(double sum, double sum_squares, double count, double eps,
                           Affine stored) noexcept {
  const double mean = count > 0 ? sum / count : 0.0;
  const double variance = count > 0 ? std::max(sum_squares / count - mean * mean, 0.0) : 0.0;
  const double inverse = 1.0 / std::sqrt(variance + eps);
  return {stored.scale * inverse, stored.shift - stored.scale * inverse * mean};
}

/// Of a head's h, tokens values `stride` apart: the stored one, or with `per_instance` on top of
/// the sample's moments.
inline Affine field_affine(const float* h, std::int64_t tokens, std::int64_t stride,
                           bool per_instance, double eps, Affine stored) noexcept {
  if (!per_instance) return stored;
  double sum = 0;
  double squares = 0;
  for (std::int64_t i = 0; i < tokens; ++i) {
    const auto value = static_cast<double>(h[i * stride]);
    sum += value;
    squares += value * value;
  }
  return standardised(sum, squares, static_cast<double>(tokens), eps, stored);
}

/// What P and M of bilinear couplings are multiplied by: 1 / (2 D^1/4).
inline float bilinear_unit(std::int64_t dim_head) noexcept {
  return static_cast<float>(0.5 / std::sqrt(std::sqrt(static_cast<double>(dim_head))));
}

/// h' of a head, for an output without rho; h: values `row` apart, out: filled with 0 behind them.
inline void plain_fields(Affine field, std::int64_t tokens, const float* h, std::int64_t row,
                         std::span<double> out) noexcept {
  for (std::int64_t i = 0; i < tokens; ++i) {
    out[static_cast<std::size_t>(i)] = field.scale * static_cast<double>(h[i * row]) + field.shift;
  }
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(tokens), out.end(), 0.0);
}

inline double at(std::span<const float> values, std::int64_t t) noexcept {
  return static_cast<double>(values[static_cast<std::size_t>(t)]);
}

}  // namespace qama::ops
