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

#include <algorithm>
#include <cstdint>
#include <span>
#include <tuple>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "hal/problem.h"
#include "ops/attention/workspace.h"
#include "ops/simd/factors_front.h"
#include "ops/simd/kernels.h"

namespace qama::ops {

/// Where the scale and shift of J and h come from.
enum class QamaNormalisation : std::uint8_t {
  none,      ///< the stored scale and shift alone
  instance,  ///< standardise each head of each sample first: mean and population variance
  batch      ///< the stored scale and shift, which hold the folded statistics
};

/// How J follows from queries and keys; both are sums over the dimensions of factors.
enum class QamaCoupling : std::uint8_t {
  gram,     ///< Q K^T K Q^T / (2 D) = F F^T
  bilinear  ///< (Q K^T + K Q^T) / (2 sqrt D) = P P^T - M M^T; P, M = (Q +- K) / (2 D^1/4)
};

/// Fixed per layer. Spans have one entry a head.
struct QamaFrontSpec {
  std::int64_t heads = 0, dim_head = 0;
  QamaCoupling coupling = QamaCoupling::gram;
  double pair = 1;         ///< times that the energy to be minimised has J_ij of a pair i < j
  bool output_rho = true;  ///< the output's energies have rho h', else h'
  QamaNormalisation normalisation = QamaNormalisation::none;
  double eps = 1e-5;  ///< of the per-instance standardisation
  double rho0 = 0.16, gamma0 = 0.8;
  std::span<const float> coupling_scale, coupling_shift;
  std::span<const float> field_scale, field_shift;
  /// J' is computed twice, head by head, in place of being kept: for boards, to which memory is
  /// worth more than time. The same numbers.
  bool spares_memory = false;

  /// Dimensions of the factors. Of bilinear ones the first half adds, the second subtracts.
  [[nodiscard]] std::int64_t rank() const noexcept {
    return coupling == QamaCoupling::bilinear ? 2 * dim_head : dim_head;
  }
  [[nodiscard]] double rho(std::int64_t tokens) const noexcept;
  [[nodiscard]] double lambda(std::int64_t tokens) const noexcept;
};

/// One sample's layer in memory; every pointer 64-byte aligned, S = token_stride(tokens), R =
/// rank(), W = long_factor_width(R). kQamaPieces says which part of the layer uses which piece.
struct QamaWorkspace {
  double* real_fields = nullptr;   ///< [heads][S] rho h', 0 behind the tokens
  double* plain_fields = nullptr;  ///< [heads][S] h', where the output is without rho
  double* constants = nullptr;     ///< [2][heads] scale, then shift of J, of this sample; as many
                                   ///< again for hooks
  std::uint64_t* spins = nullptr;  ///< [heads][S / 64]
  double* energies = nullptr;      ///< [heads][S]
  double* project = nullptr;       ///< [heads + 2][S]; scratch
  // The dense form.
  float* factors = nullptr;           ///< [heads][R][S] F, J = F F^T, or P and M
  float* real_couplings = nullptr;    ///< [heads][tokens][S] J', or one head's; scratch
  std::int16_t* couplings = nullptr;  ///< [heads][tokens][S], the problem's
  std::int16_t* fields = nullptr;     ///< [heads][S], the problem's
  double* scratch = nullptr;
  // The form of factors (qama_factors.h).
  float* factor_rows = nullptr;       ///< [heads][tokens][W] F, or P and M, the problem's
  float* factor_signed = nullptr;     ///< [heads][tokens][W] P and -M, the problem's right side
  float* factor_fields = nullptr;     ///< [heads][tokens] rho h', the problem's
  float* factor_constants = nullptr;  ///< [2][heads] as `constants`, the problem's
  double* factor_scratch = nullptr;
};

/// What the extents of a layer follow from.
struct QamaSizes {
  std::int64_t heads = 0, dim_head = 0;  ///< dim_head: that of the factors, rank()
  std::int64_t tokens = 0;               ///< of the longest sample
  std::int64_t dense_tokens = 0;         ///< of the longest one in dense form
  std::int64_t factors_tokens = 0;       ///< of the longest one on factors; 0: there is none
  bool bilinear = false;                 ///< the coupling
  bool output_rho = true;
  bool spares_memory = false;
};

template <typename T>
using QamaPiece = Piece<QamaWorkspace, QamaSizes, T>;
using QamaW = QamaWorkspace;
inline constexpr std::tuple kQamaPieces{
    QamaPiece<double>{"real_fields", &QamaW::real_fields,
                      [](const QamaSizes& s) { return s.heads * token_stride(s.tokens); },
                      kFront | kBack},
    QamaPiece<double>{
        "plain_fields", &QamaW::plain_fields,
        [](const QamaSizes& s) { return s.output_rho ? 0 : s.heads * token_stride(s.tokens); },
        kFront | kBack},
    QamaPiece<double>{"constants", &QamaW::constants,
                      [](const QamaSizes& s) { return 4 * s.heads; }, kFront | kBack},
    QamaPiece<std::uint64_t>{
        "spins", &QamaW::spins,
        [](const QamaSizes& s) { return s.heads * token_stride(s.tokens) / 64; }, kSolve | kBack},
    QamaPiece<double>{"energies", &QamaW::energies,
                      [](const QamaSizes& s) { return s.heads * token_stride(s.tokens); }, kBack},
    QamaPiece<double>{"project", &QamaW::project,
                      [](const QamaSizes& s) { return (s.heads + 2) * token_stride(s.tokens); },
                      kBack},
    QamaPiece<float>{
        "factors", &QamaW::factors,
        [](const QamaSizes& s) { return s.heads * s.dim_head * token_stride(s.dense_tokens); },
        kFront | kBack},
    QamaPiece<float>{"real_couplings", &QamaW::real_couplings,
                     // One head more for the part of bilinear couplings that is subtracted.
                     [](const QamaSizes& s) {
                       return ((s.spares_memory ? 1 : s.heads) + (s.bilinear ? 1 : 0)) *
                              s.dense_tokens * token_stride(s.dense_tokens);
                     },
                     kFront},
    QamaPiece<std::int16_t>{
        "couplings", &QamaW::couplings,
        [](const QamaSizes& s) { return s.heads * s.dense_tokens * token_stride(s.dense_tokens); },
        kFront | kSolve},
    QamaPiece<std::int16_t>{
        "fields", &QamaW::fields,
        [](const QamaSizes& s) { return s.heads * token_stride(s.dense_tokens); }, kFront | kSolve},
    // The factor kernel's, later a sum a token as floats.
    QamaPiece<double>{"scratch", &QamaW::scratch,
                      [](const QamaSizes& s) {
                        return std::max(qama_factor_scratch_doubles(s.dense_tokens, s.dim_head),
                                        token_stride(s.dense_tokens));
                      },
                      kFront},
    QamaPiece<float>{"factor_rows", &QamaW::factor_rows,
                     [](const QamaSizes& s) {
                       return s.heads * s.factors_tokens * long_factor_width(s.dim_head);
                     },
                     kFront | kSolve | kBack},
    QamaPiece<float>{"factor_signed", &QamaW::factor_signed,
                     [](const QamaSizes& s) {
                       const std::int64_t row = long_factor_width(s.dim_head);
                       return s.bilinear ? s.heads * s.factors_tokens * row : 0;
                     },
                     kFront | kSolve},
    QamaPiece<float>{"factor_fields", &QamaW::factor_fields,
                     [](const QamaSizes& s) { return s.heads * s.factors_tokens; },
                     kFront | kSolve},
    QamaPiece<float>{"factor_constants", &QamaW::factor_constants,
                     [](const QamaSizes& s) { return s.factors_tokens > 0 ? 2 * s.heads : 0; },
                     kFront | kSolve},
    QamaPiece<double>{"factor_scratch", &QamaW::factor_scratch,
                      [](const QamaSizes& s) {
                        return s.factors_tokens > 0 ? long_factor_scratch(s.dim_head) : 0;
                      },
                      kFront | kBack},
};

/// `qkh` [tokens][2 heads dim_head + heads]: queries, keys (head-major), then h_t of every head.
/// Fills the workspace and `problem`. PROBLEM_BAD_VALUE if a value is not finite.
Status qama_front(const QamaFrontSpec& spec, std::int64_t tokens, const float* qkh,
                  const QamaWorkspace& workspace, const KernelTable& kernels,
                  hal::DenseView& problem);

}  // namespace qama::ops
