// Which form a problem is solved in: the only place that decides. The engine (layers of a model),
// the C API's solver, `qama solve`, the CPU's dense solver (bit planes) and the benches ask here,
// so that one layer is solved in one form whoever asks. All thresholds are below, each with where
// it was measured. To add a form: an enumerator and a name in problem.h, a rule in choose_form().
#pragma once

#include <cstdint>

#include "hal/problem.h"
#include "hal/schedule.h"

namespace qama::hal {

/// Tokens from which a layer of several heads is solved on factors. Its energies end up to a tenth
/// higher than with J built, because the annealer on factors lacks the move over the heads of a
/// token: only where J would cost ten times as much. (bench/RESULTS.md, "Long heads")
inline constexpr std::int32_t kFactorsTokensOfManyHeads = 2048;
/// A single head reaches the same energies on factors. From this rank on it is faster as soon as
/// there is a pair of tokens, because J costs rank^3 / 6 however few there are; of a lower rank it
/// is as fast with a long schedule and twice as fast with a short one. (bench/long_heads.cpp)
inline constexpr std::int32_t kFactorsRank = 64;
inline constexpr std::int32_t kFactorsTokensOfLowRank = 96;
/// Neighbours of a spin, on average, up to which rows of neighbours are faster than bit planes;
/// with more than kPlaneValues different couplings, than 16-bit numbers. (bench/forms)
inline constexpr std::int64_t kSparseNeighbours = 64;
inline constexpr std::int64_t kSparseSpinsANeighbour = 8;  ///< or an eighth of all spins
/// Restarts from which that holds, because they are annealed side by side; and spins from which it
/// always does. (bench/forms)
inline constexpr std::int64_t kSparseRestarts = 16;
inline constexpr std::int32_t kSparseAlwaysSpins = 4096;
/// Different couplings, 0 among them, that bit planes hold (hal/cpu/planes/planes.h), and spins
/// from which they gain: heads of one word do not.
inline constexpr std::int32_t kPlaneValues = 3;
inline constexpr std::int32_t kPlaneSpins = 65;

/// The fewest tokens of a problem with factors that choose_form() solves on them. Only the dense
/// form knows rounds, so with rounds it is the first number that is too large for it.
[[nodiscard]] constexpr std::int32_t first_factors_tokens(std::int32_t heads, std::int32_t rank,
                                                          std::int32_t rounds = 0) noexcept {
  if (rounds > 0) return kMaxDenseTokens + 1;
  if (heads > 1) return kFactorsTokensOfManyHeads;
  return rank >= kFactorsRank ? 2 : kFactorsTokensOfLowRank;
}

/// Whether bit planes can win at all, before anybody counts a problem's values.
[[nodiscard]] constexpr bool planes_possible(const ProblemShape& shape,
                                             const Schedule& schedule) noexcept {
  return shape.heads == 1 && shape.tokens >= kPlaneSpins && schedule.rounds == 0;
}

/// What a choice depends on.
struct FormQuestion {
  ProblemShape shape;
  std::int32_t rank = 0;          ///< of its factors; 0: it has none
  std::int64_t edges = -1;        ///< pairs of spins with a coupling; -1: all of them may have one
  std::int32_t values = 0;        ///< different couplings, 0 among them; 0: not counted, many
  std::int64_t restarts = 1;      ///< in all, also where a solve gets a part of them
  Schedule schedule = {};         ///< of which only rounds count
  FormSet forms = {Form::dense};  ///< of the device (Device::forms)
};

/// The fastest form that the device takes. It may still be too large for the device
/// (Device::supports).
[[nodiscard]] Form choose_form(const FormQuestion& question) noexcept;

}  // namespace qama::hal
