// Long heads: annealing on factors, never building J. Memory and work per sweep grow with N D
// instead of N^2 (hal/problem.h's FactorsView has the mathematics).
//
// Couplings reach a spin through z = sum_j s_j right_j (D numbers a head): its field is left_i . z.
// Tokens are taken in tiles of 16. A tile's 16 fields are 16 rows times z; inside the tile the
// flips are exact, by the tile's own 16 x 16 couplings; every flip moves z. So a sweep is the same
// sequential Metropolis sweep as with a dense J. Rows are read where the caller has them: a problem
// whose left and right are one array is in the caches once, and what a flip needs has just been
// read.
//
// A head's spins start at the signs of their fields where it is alone (H = 1: descent from there
// nearly always ends near the best), else at 0. A tile's couplings are computed row by row when a
// spin flips, so that a solve which flips few pays for few. Descent goes round the tiles until it
// has come round once without a flip.
//
// Arithmetic is float, in an order that is part of the definition: a product of rows is 16 sums,
// over d = l, l + 16, l + 32 ..., multiply and add rounded apart, and these are then added in
// halves, l and l + 8, + 4, + 2, + 1. Every target does exactly that, so the same seed gives the
// same spins everywhere. factors/reference.cpp is the readable version, factors_impl.h the fast
// one.
#pragma once

#include <cstdint>
#include <span>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "hal/problem.h"

namespace qama::hal::cpu {

inline constexpr std::int32_t kTile = 16;
inline constexpr std::int32_t kUnitRows[] = {0, 8};

/// A single head too long for the caches is swept in blocks: `kBlockSweeps` sweeps of a block's
/// tokens, then of the next block's, and descent first goes to the end in each block. Otherwise
/// every sweep would wait for all factors to come from memory. (Heads that share tokens adapt to
/// each other: they are swept as wholes.)
inline constexpr std::int32_t kBlockSweeps = 4;
inline constexpr std::int32_t kBlockFloats = 1 << 17;

/// Tiles, of all heads, whose couplings are kept. Where there are more, memory is slower than 16
/// products again.
inline constexpr std::int32_t kKeptTiles = 1024;

/// Tiles from which the unit of temperature is taken where nothing is annealed and only descent's
/// threshold needs it.
inline constexpr std::int32_t kUnitTiles = 4;

/// A low-rank problem laid out for the kernels. Sizes are fixed by the solver, contents per
/// problem.
struct FactorsLayout {
  std::int32_t heads = 0, tokens = 0;
  std::int32_t tiles = 0;   ///< per head
  std::int32_t stride = 0;  ///< floats from row to row: the rank rounded up to 16
  /// [heads][rows][stride], 0 behind the rank: the problem's own memory where its rows are whole
  /// lines of lanes, else the copies. Rows behind the tokens are not read. Any alignment.
  const float* left = nullptr;
  const float* right = nullptr;
  std::int64_t rows = 0;  ///< of a head there
  /// [heads][rows][stride], or null if the rank needs none.
  float* left_copy = nullptr;
  float* right_copy = nullptr;
  /// [heads][16][stride] a last tile of `left` that is not full, 0 behind the tokens.
  float* tail = nullptr;
  bool symmetric = false;  ///< left and right are one array
  /// [heads][tiles][16][16] couplings within a tile, diagonal 0; of `known` rows. Or null: not
  /// kept.
  float* inside = nullptr;
  std::uint16_t* known = nullptr;  ///< [heads][tiles] bit i: row i of `inside` is there
  /// [heads][tiles * 16] left_i . right_i scale + shift: what z counts too much.
  float* self = nullptr;
  float* fields = nullptr;  ///< [heads][tiles * 16], 0 behind the tokens
  float* scale = nullptr;   ///< [heads]
  float* shift = nullptr;   ///< [heads]
  float penalty = 0;
  // These two and `inside` are set before a problem is loaded.
  std::int32_t block_tiles = 0;  ///< of a head, that are swept together
  std::int32_t unit_tiles = 0;   ///< of a head, from the first
  /// Unit of temperature, from a sample of the couplings: rows kUnitRows of the first `unit_tiles`
  /// tiles, squares added up in float lane by lane, then the lanes in double.
  float unit = 1;

  [[nodiscard]] bool in_blocks() const noexcept { return tiles > block_tiles; }
  /// Whether rows come from memory, and are asked for ahead; at half of this it already costs more
  /// than it gains.
  [[nodiscard]] bool far() const noexcept { return tiles > 8 * block_tiles; }
};

/// One chain's state and answer.
struct FactorsChain {
  std::int32_t restart = 0;
  std::uint64_t* spins = nullptr;  ///< [heads][words_per_head(tokens)]
  float* z = nullptr;              ///< [heads][stride]
  float* counts = nullptr;         ///< [tiles * 16] heads that select a token
  double energy = 0;
  std::int64_t proposals = 0, flips = 0;
};

struct FactorsJob {
  const FactorsLayout* problem = nullptr;
  const float* temperatures = nullptr;  ///< [sweeps], in units of energy
  std::int32_t sweeps = 0;
  std::uint64_t seed = 0;
};

/// Lays a problem out: products of each token with itself, the unit, and copies where rows need
/// them.
using FactorsLoadFunction = void (*)(const FactorsView& problem, FactorsLayout& layout);
/// `sweeps` Metropolis sweeps, then single-flip descent, then the energy (of the float problem,
/// summed in double; from |z|^2 where the layout is symmetric). Fills in rows of the layout's
/// `inside`.
using FactorsAnnealFunction = void (*)(const FactorsJob& job, FactorsChain& chain);

/// Variates of schedule.h as floats, -ln(u): [kVariates + 64].
[[nodiscard]] const float* float_variates() noexcept;

/// The unit of temperature from the sampled squares, a lane each.
[[nodiscard]] float factors_unit(const FactorsLayout& layout, const float* squares) noexcept;

void load_factors_reference(const FactorsView& problem, FactorsLayout& layout);
void anneal_factors_reference(const FactorsJob& job, FactorsChain& chain);

}  // namespace qama::hal::cpu
