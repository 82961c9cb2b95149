// Long heads: annealing on factors, never building J. Memory and work per sweep grow with N D instead of
// N^2 (hal/problem.h's LowRankProblem has the mathematics).
//
// Couplings reach a spin through z = sum_j s_j right_j (D numbers a head): its field is left_i . z. Tokens
// are taken in tiles of 16. A tile's 16 fields are one column-major product with z; inside the tile the
// flips are exact, by the tile's own 16 x 16 couplings; every flip moves z. So a sweep is the same
// sequential Metropolis sweep as with a dense J.
//
// A head's spins start at the signs of their fields where it is alone (H = 1: descent from there nearly always ends
// near the best), else at 0. A tile's couplings are computed row by row when a spin first flips, so that a solve which
// flips few pays for few.
//
// Arithmetic is float, in an order that is part of the definition: each lane's sum over d runs in four
// strands (d mod 4), multiply and add rounded apart, strands added as (0+1)+(2+3). Every target does
// exactly that, so the same seed gives the same spins everywhere. low_rank_reference.cpp is the readable
// version, low_rank_impl.h the fast one.
#pragma once

#include <cstdint>
#include <span>

#include "hal/problem.h"
#include "runtime/base/aligned.h"
#include "runtime/base/result.h"

namespace qama::hal::cpu {

inline constexpr std::int32_t kTile = 16;
inline constexpr std::int32_t kUnitRows[] = {0, 8};

/// A low-rank problem laid out for the kernels. Sizes are fixed by the solver, contents per problem.
struct LowRankLayout {
  std::int32_t heads = 0, tokens = 0, rank = 0;
  std::int32_t tiles = 0;        ///< per head
  std::int32_t right_stride = 0; ///< rank rounded up to 16
  float* left = nullptr;         ///< [heads][tiles][rank][16]
  /// [heads][rows][right_stride], 0 behind the rank: the problem's own memory where its rows are whole lines of
  /// lanes, else `right_copy`. Rows behind the tokens are not read.
  const float* right = nullptr;
  std::int64_t right_rows = 0;   ///< rows of a head there
  float* right_copy = nullptr;   ///< [heads][tiles * 16][right_stride], or null if the rank needs none
  float* inside = nullptr;       ///< [heads][tiles][16][16] couplings within a tile, diagonal 0; of `known` rows
  std::uint16_t* known = nullptr;  ///< [heads][tiles] bit i: row i of `inside` is there
  float* self = nullptr;         ///< [heads][tiles * 16] left_i . right_i + shift: what z counts too much
  float* fields = nullptr;       ///< [heads][tiles * 16], 0 behind the tokens
  float* shift = nullptr;        ///< [heads]
  float penalty = 0;
  /// Unit of temperature, from a sample of the couplings: rows kUnitRows of every tile, squares added up in float
  /// lane by lane, then the lanes in double.
  float unit = 1;
};

/// One chain's state and answer.
struct LowRankChain {
  std::int32_t restart = 0;
  std::uint64_t* spins = nullptr;  ///< [heads][words_per_head(tokens)]
  float* z = nullptr;              ///< [heads][right_stride]
  float* counts = nullptr;         ///< [tiles * 16] heads that select a token
  double energy = 0;
  std::int64_t proposals = 0, flips = 0;
};

struct LowRankJob {
  const LowRankLayout* problem = nullptr;
  const float* temperatures = nullptr;  ///< [sweeps], in units of energy
  std::int32_t sweeps = 0;
  std::uint64_t seed = 0;
};

/// Lays a problem out: transposes the factors into tiles.
using LowRankLoadFunction = void (*)(const LowRankProblem& problem, LowRankLayout& layout);
/// `sweeps` Metropolis sweeps, then single-flip descent, then the energy (of the float problem, summed in double).
/// Fills in rows of the layout's `inside`.
using LowRankAnnealFunction = void (*)(const LowRankJob& job, LowRankChain& chain);

/// Variates of schedule.h as floats, -ln(u): [kVariates + 64].
[[nodiscard]] const float* float_variates() noexcept;

/// The unit of temperature from the sampled squares, a lane each.
[[nodiscard]] float low_rank_unit(const LowRankLayout& layout, const float* squares) noexcept;

void load_low_rank_reference(const LowRankProblem& problem, LowRankLayout& layout);
void anneal_low_rank_reference(const LowRankJob& job, LowRankChain& chain);

}  // namespace qama::hal::cpu
