// Half-precision numbers: IEEE binary16 (f16) and bfloat16 (bf16). Every one of them is a float
// exactly; the way back rounds to nearest, ties to even.
#pragma once

#include <bit>
#include <cstdint>

namespace qama {

[[nodiscard]] constexpr float float_from_bf16(std::uint16_t half) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

[[nodiscard]] constexpr float float_from_f16(std::uint16_t half) noexcept {
  // No branches, so that a loop becomes vector code, and no subnormal float, so that it is right
  // where those count as zero. The exponent counts from 112 too low.
  const std::uint32_t bits = (half & 0x7FFFU) << 13;
  const std::uint32_t normal = bits + (112U << 23);
  const float subnormal = std::bit_cast<float>(bits + (113U << 23)) - 0x1p-14F;
  const std::uint32_t special = bits >= 0x7C00U << 13 ? 112U << 23 : 0U;  // infinity, NaN
  return std::bit_cast<float>(
      (half & 0x8000U) << 16 |
      (bits < 0x400U << 13 ? std::bit_cast<std::uint32_t>(subnormal) : normal + special));
}

[[nodiscard]] constexpr std::uint16_t bf16_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U)
    return static_cast<std::uint16_t>(bits >> 16 | 0x40U);  // NaN
  return static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

/// A magnitude of 65520 or more becomes infinity, which no model file may hold.
[[nodiscard]] constexpr std::uint16_t f16_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return sign | 0x7E00U;
  if (magnitude >= 0x477FF000U) return sign | 0x7C00U;
  if (magnitude >= 0x38800000U) {  // normal: 13 bits of the fraction go
    const std::uint32_t rounded = magnitude + 0xFFFU + (magnitude >> 13 & 1U);
    return static_cast<std::uint16_t>(sign | (rounded - 0x38000000U) >> 13);
  }
  // Subnormal: adding 0.5 leaves multiples of 2^-24 in the lowest bits, rounded by the addition.
  const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
  return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U));
}

}  // namespace qama
