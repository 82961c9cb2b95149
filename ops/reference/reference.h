// Plain scalar references of what the project writes by hand: short, in the order of the equations,
// in double where it costs nothing. Tests hold every kernel against them; nothing that ships uses
// them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/attention/qama_front.h"
#include "ops/linear.h"
#include "ops/simd/kernels.h"

namespace qama::ops {

/// Every kernel as a plain loop; name "scalar". Allocates.
[[nodiscard]] const KernelTable& reference_kernels() noexcept;

/// A linear layer in int8, without activation: [rows][out]. Equal to every kernel's, bit for bit.
[[nodiscard]] std::vector<float> reference_int8_linear(std::int64_t rows, std::int64_t in,
                                                       std::span<const float> x,
                                                       const Int8Weights& weights,
                                                       std::span<const float> bias);

/// The same in half precision, as half_linear.h says.
[[nodiscard]] std::vector<float> reference_half_linear(std::int64_t rows, std::int64_t in,
                                                       std::span<const float> x,
                                                       const HalfWeights& weights,
                                                       std::span<const float> bias);

/// What the front end computes, from the definitions: Eq. 4 entry by entry in double.
struct ReferenceLayer {
  std::vector<double> couplings;  ///< J' [heads][tokens][tokens], 0 on the diagonal
  std::vector<double> fields;     ///< rho h' [heads][tokens]
  double lambda = 0;
  double scale = 0;                   ///< integers per unit
  std::vector<std::int16_t> weights;  ///< W [heads][tokens][tokens]
  std::vector<std::int16_t> biases;   ///< b [heads][tokens]
  std::int16_t penalty = 0;
};
[[nodiscard]] ReferenceLayer reference_front(const QamaFrontSpec& spec, std::int64_t tokens,
                                             const float* qkh);

/// e_ti of Eq. 5 from the layer's J' and fields; `spins` and the result [heads][tokens].
[[nodiscard]] std::vector<double> reference_energies(const ReferenceLayer& layer,
                                                     std::int64_t heads, std::int64_t tokens,
                                                     const std::vector<std::uint8_t>& spins);

}  // namespace qama::ops
