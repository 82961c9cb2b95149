// QamaAttention: each head selects tokens by minimising a QUBO (Eq. 3); the output is the energy of
// every selected token times w_eps (Eq. 5), projected. Three parts, because the middle one belongs
// to a device:
//   front (qama_front.h)    queries, keys, fields -> integers
//   a device of hal/        integers -> spins
//   energies, project       spins -> energies in double -> the layer's output
// All of V that the layer needs is V w_eps, and all that follows the energies is linear in them, so
// both are folded into the weights when the operator is made: fold_qkh() and the projection's
// table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "ops/attention/qama_front.h"

namespace qama::ops {

/// What happens to the energies before the output projection.
enum class QamaEnergyNorm : std::uint8_t {
  none,
  layer,  ///< layer norm over a token's concatenated outputs e_ti w_eps^T
  batch   ///< e' = scale_t e + shift_t
};

/// A layer's constants, as the model file has them.
struct QamaSpec {
  QamaFrontSpec front;
  QamaEnergyNorm energy_norm = QamaEnergyNorm::none;
  double norm_eps = 1e-5;
  std::int64_t dim = 0;
  std::span<const float> w_eps;         ///< [D] or [heads][D]
  std::span<const float> out_weight;    ///< [dim][heads D]; empty: the heads are the output
  std::span<const float> energy_scale;  ///< batch: [heads]; layer: gamma [heads D]
  std::span<const float> energy_shift;  ///< batch: [heads]; layer: beta [heads D]
};

/// Immutable after create(); owns copies of all constants.
class QamaAttention {
 public:
  QamaAttention() = default;
  /// INVALID_ARGUMENT if a span has not the size that the spec asks for.
  [[nodiscard]] static Result<std::unique_ptr<QamaAttention>> create(
      const QamaSpec& spec, const KernelTable& kernels = best_kernels());

  [[nodiscard]] const QamaFrontSpec& front_spec() const noexcept { return spec_; }
  [[nodiscard]] const KernelTable& kernels() const noexcept { return *kernels_; }
  [[nodiscard]] std::size_t weight_bytes() const noexcept;

  /// The front end on this layer's constants.
  Status front(std::int64_t tokens, const float* qkh, const QamaWorkspace& workspace,
               hal::DenseView& problem) const {
    return qama_front(spec_, tokens, qkh, workspace, *kernels_, problem);
  }
  /// workspace.energies from workspace.spins, with what front() left there.
  void energies(std::int64_t tokens, const QamaWorkspace& workspace) const noexcept;
  /// `out` [tokens][dim] from workspace.energies.
  void project(std::int64_t tokens, const QamaWorkspace& workspace, float* out) const noexcept;

 private:
  QamaFrontSpec spec_;  // its spans view constants_
  QamaEnergyNorm energy_norm_ = QamaEnergyNorm::none;
  double norm_eps_ = 0;
  std::int64_t dim_ = 0;
  std::int64_t table_rows_ = 0;
  const KernelTable* kernels_ = nullptr;
  AlignedBuffer<float> constants_;  // coupling scale, shift, field scale, shift: 4 x heads
  AlignedBuffer<float> table_;      // [heads, and for layer norm one more][dim]
  AlignedBuffer<float> bias_;       // [dim]
  AlignedBuffer<double>
      moments_;  // layer norm: [heads] mean and [heads] mean square of w_eps over heads D
};

/// The weights of the fused projection to qkh, [2 heads D + heads][dim]: the rows of q and k, then
/// for each head w_eps^T W_v. `qkv` [3 heads D][dim]. INVALID_ARGUMENT for other sizes.
[[nodiscard]] Result<AlignedBuffer<float>> fold_qkh(std::span<const float> qkv,
                                                    std::span<const float> w_eps,
                                                    std::int64_t heads, std::int64_t dim_head,
                                                    std::int64_t dim);

/// The weights of a projection to queries, keys and values that each have a layer norm of their own
/// over the same rows, for rows of mean 0 and variance 1: [3 heads D][dim + 1], the last column the
/// bias. `scales` and `shifts` [dim] of each. INVALID_ARGUMENT for other sizes.
struct OwnNorms {
  std::span<const float> scales[3];
  std::span<const float> shifts[3];
};
[[nodiscard]] Result<AlignedBuffer<float>> fold_norms(std::span<const float> qkv,
                                                      const OwnNorms& norms, std::int64_t inner,
                                                      std::int64_t dim);

}  // namespace qama::ops
