// QamaV1Attention: the first version of QAMA, as its authors' published code computes it, so that
// their models can be carried over. The equations stand in weights/export/qama_export/qama_v1.py
// and FORMAT.md: couplings are Jensen-Shannon divergences, fields entropies, and a token's
// selection is a number of b bits, so that a head has N b spins, spin i b + k being bit k of token
// i. Plain code: nothing here is on a hot path of the models that this project trains.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <tuple>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "hal/problem.h"
#include "ops/attention/workspace.h"

namespace qama::ops {

/// Spans have one entry a head: batch norms folded into y = scale x + shift.
struct QamaV1Spec {
  std::int64_t heads = 0, dim_head = 0, bits = 0;
  double quadratic = 1, linear = 1, penalty = 2;
  std::span<const float> coupling_scale, coupling_shift;  ///< of J off the diagonal
  std::span<const float> field_scale, field_shift;        ///< of h
  std::span<const float> energy_scale, energy_shift;      ///< of the output
};

/// One sample's layer in memory, S = row_stride(N b).
struct QamaV1Workspace {
  double* real_couplings = nullptr;   ///< [heads][N][N] J', the diagonal as it is
  double* real_fields = nullptr;      ///< [heads][N] h'
  double* entropies = nullptr;        ///< [heads][N][dim_head] u
  double* shares = nullptr;           ///< [2][N][dim_head + 1] softmax of queries and keys; scratch
  double* selected = nullptr;         ///< [N] w; scratch
  std::int16_t* couplings = nullptr;  ///< [heads][N b][S], the problem's
  std::int16_t* fields = nullptr;     ///< [heads][S], the problem's
  std::uint64_t* spins = nullptr;     ///< [heads][S / 64]
  double* energies = nullptr;         ///< [heads][N] e
};

/// What the extents of a layer follow from, for samples of at most `tokens` tokens.
struct QamaV1Sizes {
  std::int64_t heads = 0, dim_head = 0, tokens = 0, bits = 0;
  [[nodiscard]] std::int64_t stride() const noexcept {
    return hal::row_stride(static_cast<std::int32_t>(tokens * bits));
  }
};

template <typename T>
using QamaV1Piece = Piece<QamaV1Workspace, QamaV1Sizes, T>;
using QamaV1W = QamaV1Workspace;
inline constexpr std::tuple kQamaV1Pieces{
    QamaV1Piece<double>{"real_couplings", &QamaV1W::real_couplings,
                        [](const QamaV1Sizes& s) { return s.heads * s.tokens * s.tokens; },
                        kFront | kBack},
    QamaV1Piece<double>{"real_fields", &QamaV1W::real_fields,
                        [](const QamaV1Sizes& s) { return s.heads * s.tokens; }, kFront | kBack},
    QamaV1Piece<double>{"entropies", &QamaV1W::entropies,
                        [](const QamaV1Sizes& s) { return s.heads * s.tokens * s.dim_head; },
                        kFront | kBack},
    QamaV1Piece<double>{"shares", &QamaV1W::shares,
                        [](const QamaV1Sizes& s) { return 2 * s.tokens * (s.dim_head + 1); },
                        kFront},
    QamaV1Piece<double>{"selected", &QamaV1W::selected,
                        [](const QamaV1Sizes& s) { return s.tokens; }, kBack},
    QamaV1Piece<std::int16_t>{
        "couplings", &QamaV1W::couplings,
        [](const QamaV1Sizes& s) { return s.heads * s.tokens * s.bits * s.stride(); },
        kFront | kSolve},
    QamaV1Piece<std::int16_t>{"fields", &QamaV1W::fields,
                              [](const QamaV1Sizes& s) { return s.heads * s.stride(); },
                              kFront | kSolve},
    QamaV1Piece<std::uint64_t>{"spins", &QamaV1W::spins,
                               [](const QamaV1Sizes& s) { return s.heads * s.stride() / 64; },
                               kSolve | kBack},
    QamaV1Piece<double>{"energies", &QamaV1W::energies,
                        [](const QamaV1Sizes& s) { return s.heads * s.tokens; }, kBack},
};

/// Immutable after create(); owns copies of all constants.
class QamaV1Attention {
 public:
  /// INVALID_ARGUMENT if a span has not one entry a head or the bits are not 1 to 8.
  [[nodiscard]] static Result<std::unique_ptr<QamaV1Attention>> create(const QamaV1Spec& spec);

  [[nodiscard]] const QamaV1Spec& spec() const noexcept { return spec_; }
  /// `qkv` [tokens][3 heads dim_head] -> the workspace and `problem`. PROBLEM_BAD_VALUE if a value
  /// is not finite.
  Status front(std::int64_t tokens, const float* qkv, const QamaV1Workspace& w,
               hal::DenseView& problem) const;
  /// w.energies from w.spins, with what front() left there.
  void energies(std::int64_t tokens, const QamaV1Workspace& w) const noexcept;
  /// `out` [tokens][heads dim_head], before the output projection.
  void output(std::int64_t tokens, const QamaV1Workspace& w, float* out) const noexcept;

  static constexpr double kEps = 1e-6;

 private:
  QamaV1Attention() = default;
  Status quantise(std::int64_t tokens, const QamaV1Workspace& w, hal::DenseView& problem) const;

  QamaV1Spec spec_;  // its spans view constants_
  AlignedBuffer<float> constants_;
};

}  // namespace qama::ops
