// The QAMA layer's front end: from queries, keys and field projections to the integers that a
// device is given. One function, so that a fused pass can take its place; the plain reference is
// reference/reference.h's qama_front.
//
//   J_t = Q_t K_t^T K_t Q_t^T / (2 D), diagonal left out      h_t = V_t w_eps (Eq. 4) normalised:
//   J' = scale_t J + shift_t, h' = scale_t h + shift_t rho = N rho0,  lambda = N sqrt(2/pi) / (H-1)
//   gamma0 (0 for H = 1)                            (Eq. 10) W = round(c J'), b = round(c rho h'),
//   P = round(c lambda), with the largest c that keeps sum_j |W_ij| + |b_i| + (H-1) P <= 32767: the
//   rule and the rounding of hal/lower/problem_builder.h.
#pragma once

#include <cstdint>
#include <span>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "hal/problem.h"
#include "ops/simd/kernels.h"

namespace qama::ops {

/// Where the scale and shift of J and h come from.
enum class QamaNormalisation : std::uint8_t {
  none,      ///< the stored scale and shift alone
  instance,  ///< standardise each head of each sample first: mean and population variance
  batch      ///< the stored scale and shift, which hold the folded statistics
};

/// Fixed per layer. Spans have one entry a head.
struct QamaFrontSpec {
  std::int64_t heads = 0, dim_head = 0;
  QamaNormalisation normalisation = QamaNormalisation::none;
  double eps = 1e-5;  ///< of the per-instance standardisation
  double rho0 = 0.16, gamma0 = 0.8;
  std::span<const float> coupling_scale, coupling_shift;
  std::span<const float> field_scale, field_shift;

  [[nodiscard]] double rho(std::int64_t tokens) const noexcept;
  [[nodiscard]] double lambda(std::int64_t tokens) const noexcept;
};

/// One sample's layer in memory; every pointer 64-byte aligned, S = token_stride(tokens). The front
/// end writes all but `spins`, `energies` and `project`.
struct QamaWorkspace {
  float* factors = nullptr;          ///< [heads][dim_head][S]  F, J = F F^T
  double* fields = nullptr;          ///< [heads][S] rho h', 0 behind the tokens
  double* coupling_scale = nullptr;  ///< [heads] of this sample
  double* coupling_shift = nullptr;  ///< [heads]
  std::int16_t* weights = nullptr;   ///< [heads][tokens][S]
  std::int16_t* biases = nullptr;    ///< [heads][S]
  float* couplings = nullptr;        ///< [heads][tokens][S] J'; scratch of the front end
  double* scratch = nullptr;         ///< front_scratch doubles
  std::uint64_t* spins = nullptr;    ///< [heads][S / 64]
  double* energies = nullptr;        ///< [heads][S]
  double* project = nullptr;         ///< [heads + 2][S]
};

/// Elements of each piece for at most `tokens` tokens.
struct QamaExtents {
  std::size_t factors, fields, coefficients, weights, biases, couplings, scratch, spins, energies,
      project;
  [[nodiscard]] static QamaExtents of(std::int64_t heads, std::int64_t tokens,
                                      std::int64_t dim_head) noexcept;
};

/// `qkh` [tokens][2 heads dim_head + heads]: queries, keys (head-major), then h_t of every head.
/// Fills the workspace and `problem`. PROBLEM_BAD_VALUE if a value is not finite.
Status qama_front(const QamaFrontSpec& spec, std::int64_t tokens, const float* qkh,
                  const QamaWorkspace& workspace, const KernelTable& kernels,
                  hal::DenseView& problem);

}  // namespace qama::ops
