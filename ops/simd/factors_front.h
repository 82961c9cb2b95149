// Factors of a long head's couplings, for heads whose J is never built (hal's FactorsView): as
// qama_factors of kernels.h, but row-major as the low-rank solver takes them, in float, and with
// J's mean and variance from Gram matrices. Three products of N D^2 multiply-adds, each of a
// triangle, half the work.
#pragma once

#include <cstdint>

namespace qama::ops {

/// Elements of a row of factors: dim_head rounded up to 16, zeros behind it. It is the rank that
/// the low-rank solver is compiled for.
[[nodiscard]] constexpr std::int64_t long_factor_width(std::int64_t dim_head) noexcept {
  return (dim_head + 15) / 16 * 16;
}

inline constexpr std::int64_t kMaxLongDimHead = 1024;

/// Doubles of scratch.
[[nodiscard]] constexpr std::int64_t long_factor_scratch(std::int64_t dim_head) noexcept {
  const std::int64_t width = long_factor_width(dim_head);
  // A Gram matrix in double and one in float, the triangle L in float, 64 rows of the input.
  return width * width + width * width / 2 + width * width / 2 + 64 * width / 2;
}

/// J = F F^T = Q (K^T K) Q^T / (2 D) of one head (Eq. 4): F = Q L, L L^T = K^T K / (2 D).
struct LongFactorArgs {
  std::int64_t tokens = 0, dim_head = 0;  ///< dim_head <= kMaxLongDimHead
  const float* q = nullptr;               ///< row i at q + i * stride
  const float* k = nullptr;
  std::int64_t stride = 0;
  float* factors = nullptr;         ///< [tokens][long_factor_width], 64-byte aligned
  double* scratch = nullptr;        ///< long_factor_scratch, 64-byte aligned
  bool statistics = false;          ///< wanted: the next two
  double sum = 0, sum_squares = 0;  ///< out: of J_ij and J_ij^2 over i != j
};

/// As QamaEnergyArgs of kernels.h, from these factors: Eq. 5 in double, only of selected tokens.
struct LongEnergyArgs {
  std::int64_t tokens = 0, dim_head = 0;
  const float* factors = nullptr;        ///< [tokens][long_factor_width]
  const double* fields = nullptr;        ///< [tokens] rho h'
  const std::uint64_t* spins = nullptr;  ///< bit i % 64 of word i / 64
  double scale = 0, shift = 0;
  double* energies = nullptr;  ///< [token_stride]; 0 behind the tokens
  double* scratch = nullptr;   ///< [long_factor_width]
};

}  // namespace qama::ops
