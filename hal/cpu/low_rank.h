// Long heads: annealing on factors, never building J. Memory and work per sweep grow with N D instead of
// N^2 (hal/problem.h's LowRankProblem has the mathematics).
//
// Couplings reach a spin through z = sum_j s_j right_j (D numbers a head): its field is left_i . z. Tokens
// are taken in tiles of 16. A tile's 16 fields are one column-major product with z; inside the tile the
// flips are exact, by the tile's own 16 x 16 couplings; every flip moves z. So a sweep is the same
// sequential Metropolis sweep as with a dense J.
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

/// A low-rank problem laid out for the kernels. Sizes are fixed by the solver, contents per problem.
struct LowRankLayout {
  std::int32_t heads = 0, tokens = 0, rank = 0;
  std::int32_t tiles = 0;        ///< per head
  std::int32_t right_stride = 0; ///< rank rounded up to 16
  float* left = nullptr;         ///< [heads][tiles][rank][16]
  float* right = nullptr;        ///< [heads][tiles * 16][right_stride], 0 behind tokens and rank
  float* inside = nullptr;       ///< [heads][tiles][16][16] couplings within a tile, diagonal 0
  float* self = nullptr;         ///< [heads][tiles * 16] left_i . right_i + shift: what z counts too much
  float* fields = nullptr;       ///< [heads][tiles * 16], 0 behind the tokens
  float* shift = nullptr;        ///< [heads]
  float penalty = 0;
  float unit = 1;  ///< unit of temperature, from the tiles' couplings: squares a lane in float, then in double
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

/// Lays a problem out: transposes the factors into tiles, multiplies the tiles' own couplings.
using LowRankLoadFunction = void (*)(const LowRankProblem& problem, LowRankLayout& layout);
/// `sweeps` Metropolis sweeps from all spins 0, then single-flip descent, then the energy (of the float
/// problem, summed in double).
using LowRankAnnealFunction = void (*)(const LowRankJob& job, LowRankChain& chain);

/// Variates of schedule.h as floats, -ln(u): [kVariates + 64].
[[nodiscard]] const float* float_variates() noexcept;

void load_low_rank_reference(const LowRankProblem& problem, LowRankLayout& layout);
void anneal_low_rank_reference(const LowRankJob& job, LowRankChain& chain);

}  // namespace qama::hal::cpu
