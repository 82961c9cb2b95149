// From a DenseView's 16-bit integers to what a coherent Ising machine takes: an Ising
// problem with signed 8-bit couplings and no linear terms. With s = (1 + sigma) / 2, sigma in {-1,
// +1}:
//
//   4 E(s) = C - sum_t sum_{i<j} W_tij sigma_ti sigma_tj - sum_ti F_ti sigma_ti
//              + P sum_i sum_{t<u} sigma_ti sigma_ui
//   F_ti = 2 b_ti + sum_j W_tij - (H-1) P            C = - sum_{t,i<j} W - 2 sum b + P N H (H-1) /
//   2
//
// A machine has no native field, so F is spread over k extra spins (ancillas), tied to each other
// by the strongest coupling: F = q k + r (floor division) gives ancilla a the coupling q + (a < r).
// One scale maps all of it into -127 .. 127; with one ancilla the field decides it and little is
// left for W, with k it need not.
//
// Two forms of the same numbers: block form (packed upper triangles per head, F, P, k and the tie;
// what the link sends) and the vendor's dense matrix of n + k spins, which expand() makes of it.
// Both ends expand alike: hal/cim/PROTOCOL.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "hal/base/aligned.h"
#include "hal/problem.h"

namespace qama::hal::cim {

inline constexpr std::int32_t kCouplingLimit = 127;  ///< -128 is not used
inline constexpr std::int32_t kMaxMachineSpins = 2048;
inline constexpr std::int32_t kMaxAncillas = 256;

/// Rounded problem in block form, over +-1 spins; minimise
///   E8 = - sum_t sum_{i<j} J sigma sigma - sum_ti F sigma + penalty sum_i sum_{t<u} sigma sigma
/// where F sigma stands for the couplings to all ancillas at +1.
struct BlockProblem {
  ProblemShape shape;
  std::int32_t ancillas = 1;  ///< k
  std::int8_t penalty = 0;    ///< 0 .. 127
  std::int8_t tie = 0;        ///< coupling between any two ancillas; 0 for k = 1
  std::span<const std::int8_t>
      couplings;                         ///< [heads] upper triangles, row by row: N (N-1) / 2 each
  std::span<const std::int16_t> fields;  ///< [heads][N], |F| <= 127 k
  [[nodiscard]] std::int32_t spins() const noexcept {
    return static_cast<std::int32_t>(shape.spins()) + ancillas;
  }
};

/// Packed couplings of a shape.
[[nodiscard]] constexpr std::size_t coupling_count(const ProblemShape& shape) noexcept {
  return static_cast<std::size_t>(shape.heads) * shape.tokens * (shape.tokens - 1) / 2;
}

struct QuantiseOptions {
  std::int32_t max_spins = 550;  ///< of the machine, ancillas included
  std::int32_t ancillas =
      0;             ///< 0: as many as make the field fit beside the couplings, within max_spins
  double scale = 0;  ///< 8-bit steps a unit of 4E; 0: the largest that fits, whole if above 1
  bool allow_clipping = false;  ///< a value that does not fit is cut instead of refused
};

/// What rounding to 8 bits cost. Errors are in steps of the 8-bit range, before clipping.
struct QuantiseReport {
  double scale = 0;
  bool exact = false;  ///< nothing was rounded: the scale is a whole number
  std::int32_t ancillas = 0;
  double max_error = 0;           ///< of the couplings and fields
  double mean_error = 0;          ///< mean absolute, couplings only
  double coupling_deviation = 0;  ///< standard deviation of the rounded couplings, in steps
  double zeroed_share = 0;        ///< share of the couplings unequal 0 that became 0
  std::int64_t clipped = 0;
};

/// Quantises problems up to a shape into memory of its own; run() does not allocate unless it
/// fails.
class Quantiser {
 public:
  Quantiser() = default;
  /// PROBLEM_TOO_LARGE if the shape's spins and one ancilla exceed options.max_spins;
  /// INVALID_ARGUMENT for options out of range.
  [[nodiscard]] static Result<Quantiser> create(const ProblemShape& largest,
                                                const QuantiseOptions& options);

  /// PROBLEM_TOO_LARGE; PROBLEM_BAD_VALUE where a given scale would clip and that was not asked
  /// for. `report` may be null: its statistics take longer than the quantising.
  Status run(const DenseView& problem, QuantiseReport* report = nullptr);

  /// The last run's problem and scale; valid until the next run.
  [[nodiscard]] const BlockProblem& block() const noexcept { return block_; }
  [[nodiscard]] double scale() const noexcept { return scale_; }

  /// The last run's problem in the vendor's form: a symmetric matrix M of n + k spins with zero
  /// diagonal, energy -sigma^T M sigma = 2 E8 - tie k (k-1) with all ancillas at +1. `matrix`:
  /// (n+k)^2, row major.
  void expand(std::span<std::int8_t> matrix) const;

 private:
  ProblemShape largest_;
  QuantiseOptions options_;
  AlignedBuffer<std::int8_t> couplings_;
  AlignedBuffer<std::int16_t> fields_;
  AlignedBuffer<std::int32_t> wide_fields_;
  BlockProblem block_;
  double scale_ = 0;
};

/// The vendor's matrix of a block problem; see Quantiser::expand.
void expand_block(const BlockProblem& block, std::span<std::int8_t> matrix);
/// The other way: the block problem of a matrix that expand_block() made, into the caller's memory
/// (coupling_count(shape) and shape.spins() elements). PROBLEM_BAD_VALUE for another matrix.
Result<BlockProblem> fold_matrix(std::span<const std::int8_t> matrix, const ProblemShape& shape,
                                 std::int32_t ancillas, std::span<std::int8_t> couplings,
                                 std::span<std::int16_t> fields);
/// The vendor's upload: one line a row, values with commas between.
[[nodiscard]] std::string matrix_csv(std::span<const std::int8_t> matrix, std::int32_t spins);

/// A machine's spins are packed: spin i is bit i % 8 of byte i / 8, 1 for +1; ancillas behind the
/// spins. Unpacks into [heads][words_per_head]. DEVICE_BAD_ANSWER for a wrong size, a bit set
/// behind the last spin, or an ancilla that is not +1.
Status unpack_spins(const BlockProblem& block, std::span<const std::uint8_t> packed,
                    std::span<std::uint64_t> spins);

/// Exact E8 of spins ([heads][words_per_head]), for checking a machine's claim; its scratch is made
/// once.
class PackedEnergy {
 public:
  PackedEnergy() = default;
  explicit PackedEnergy(const ProblemShape& largest);
  [[nodiscard]] std::int64_t operator()(const BlockProblem& block,
                                        std::span<const std::uint64_t> spins) noexcept;

 private:
  AlignedBuffer<std::int16_t> sigma_;  // [heads][stride]: -1, 1; 0 behind the tokens
  AlignedBuffer<std::int32_t> sums_;   // [tokens]
};

}  // namespace qama::hal::cim
