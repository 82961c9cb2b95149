// A layer as a coherent Ising machine takes it: an Ising problem over sigma in {-1, +1} with signed
// 8-bit couplings and no linear terms. This is the machine's form beside the host's dense, sparse
// and factors; quantise.h makes it.
//
// A machine has no native field, so a field F is spread over k extra spins (ancillas), which are
// tied to each other by the strongest coupling: F = q k + r (floor division) gives ancilla a the
// coupling q + (1 if a < r else 0).
//
// The same numbers have two wire forms: the view's own (packed upper triangles per head, fields,
// penalty, k and the tie; block_i8 of PROTOCOL.md, SUBMIT) and the matrix of all n + k spins that
// expand() makes (dense_i8, and the vendor's upload).
#pragma once

#include <cstdint>
#include <span>

#include "hal/base/aligned.h"
#include "hal/problem.h"

namespace qama::hal::cim {

inline constexpr std::int32_t kMaxMachineSpins = 2048;
inline constexpr std::int32_t kMaxAncillas = 256;

/// A view of the Quantiser's memory. Its energy, to be minimised, is
///   E8 = - sum_t sum_{i<j} J_tij sigma_ti sigma_tj - sum_ti F_ti sigma_ti
///        + penalty sum_i sum_{t<u} sigma_ti sigma_ui
/// where F sigma stands for the couplings to all ancillas at +1.
struct QuantisedView {
  ProblemShape shape;
  std::int32_t ancillas = 1;               ///< k
  std::int8_t penalty = 0;                 ///< 0 .. 127
  std::int8_t tie = 0;                     ///< coupling between any two ancillas; 0 for k = 1
  std::span<const std::int8_t> couplings;  ///< J: [heads] upper triangles, row by row
  std::span<const std::int16_t> fields;    ///< F: [heads][tokens], |F| <= 127 k
  /// n + k
  [[nodiscard]] std::size_t spins() const noexcept {
    return static_cast<std::size_t>(shape.spins() + ancillas);
  }
};

/// Couplings of a shape in packed upper triangles.
[[nodiscard]] inline std::size_t coupling_count(const ProblemShape& shape) noexcept {
  return static_cast<std::size_t>(shape.spins()) * (shape.tokens - 1) / 2;
}

/// The symmetric matrix M of all spins, zero diagonal, row major: -sigma^T M sigma is
/// 2 E8 - tie k (k-1) with all ancillas at +1. `matrix` holds spins()^2 elements.
void expand(const QuantisedView& problem, std::span<std::int8_t> matrix);

/// Unpacks a machine's answer into `spins`, [heads][words_per_head]. Spin i of the answer is bit
/// i % 8 of byte i / 8, 1 for +1; the ancillas follow the spins. DEVICE_BAD_ANSWER for a wrong
/// size, a bit set behind the last spin, or an ancilla that is not +1.
Status unpack_spins(const QuantisedView& problem, std::span<const std::uint8_t> packed,
                    std::span<std::uint64_t> spins);

/// Exact E8 of `spins`, for checking what a machine claims. Its scratch is made once, for problems
/// up to a shape. One thread at a time.
class QuantisedEnergy {
 public:
  QuantisedEnergy() = default;
  explicit QuantisedEnergy(const ProblemShape& largest);
  [[nodiscard]] std::int64_t operator()(const QuantisedView& problem,
                                        std::span<const std::uint64_t> spins) noexcept;

 private:
  AlignedBuffer<std::int16_t> sigma_;  // [heads][stride]: -1, 1; 0 behind the tokens
  AlignedBuffer<std::int32_t> sums_;   // [tokens]
};

}  // namespace qama::hal::cim
