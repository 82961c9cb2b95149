// A double as a whole number times a power of two.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace qama {

/// value = mantissa * 2^exponent with an odd mantissa; 0 is 0 * 2^0.
struct Mantissa {
  std::int64_t mantissa = 0;
  int exponent = 0;
};

/// Of a finite value.
[[nodiscard]] inline Mantissa split(double value) noexcept {
  if (value == 0) return {};
  int exponent = 0;
  const auto scaled = static_cast<std::int64_t>(std::ldexp(std::frexp(value, &exponent), 53));
  const int zeros = std::countr_zero(static_cast<std::uint64_t>(scaled));
  return {scaled / (std::int64_t{1} << zeros), exponent - 53 + zeros};
}

}  // namespace qama
