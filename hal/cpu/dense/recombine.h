// Recombining answers head by head. A restart finds most heads of a hard layer and never all; the
// right states of the others are nearly always among what other restarts and rounds ended in
// (README.md in hal/cpu). A HeadPool keeps, for every head, the states that answers of this
// solve had; a search over their combinations, by energies that are sums over pairs of heads,
// proposes some that no answer had yet; the annealer lets them adapt at the last temperature.
//
// recombine_reference.cpp is the readable definition, recombine_impl.h the fast one; both give the
// same proposals. For layers of 2 to 8 heads of one word: a row of the tables is 8 lanes, a head
// each.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "hal/problem.h"

namespace qama::hal::cpu {

struct Chain;

inline constexpr std::int32_t kPoolHeads = 8;
inline constexpr std::int32_t kPoolMembers = 16;  ///< states of a head; then the oldest goes
inline constexpr std::int32_t kPoolAnswers =
    64;  ///< answers that searches start from; then the oldest goes
inline constexpr std::int32_t kPoolTried =
    128;  ///< combinations remembered so that none is proposed twice
inline constexpr std::int32_t kProposals = 32;  ///< combinations a search proposes at most
inline constexpr std::int32_t kPoolSteps = 6;   ///< changes of a head in one descent at most

/// Energies in a pool are in steps of P / 2^shift, the overlaps of a combination stay below 2^13
/// and a head's own energy is clamped, so that sums and their differences fit 16 bits.
inline constexpr std::int32_t kPoolOverlapBits = 13;
inline constexpr std::int16_t kPoolOwnLimit = 4095;
inline constexpr std::int16_t kPoolAbsent = 16384;  ///< "own energy" of a state that is not there

/// Which state each head has: a combination.
struct alignas(16) Combination : std::array<std::int16_t, kPoolHeads> {};

/// A number for each state of each head. Padded, because a new state is written into all tables at
/// the same place, which at a distance of 256 bytes are few sets of a cache.
struct alignas(64) PoolTable {
  std::array<std::array<std::int16_t, kPoolHeads>, kPoolMembers> at;
  std::array<std::int16_t, 32> padding;
};

/// The states of heads that were seen in one solve. Belongs to a solver; start() before the first
/// answer.
struct HeadPool {
  PoolTable
      own;  ///< energy of a state without the other heads, from that of the head's first state
  /// P times the tokens that a state shares with each state of the others, in steps; the fast form
  /// only.
  std::array<std::array<PoolTable, kPoolMembers>, kPoolHeads> overlap;
  alignas(64)
      std::array<std::array<std::uint64_t, kPoolHeads>, kPoolMembers> word;  ///< spins; 0 if absent
  std::array<std::array<std::uint64_t, kPoolMembers>, kPoolHeads> hash;
  alignas(64) std::array<std::array<std::array<std::int16_t, 64>, kPoolMembers>, kPoolHeads> fields;
  std::array<std::int32_t, kPoolHeads> size;    ///< states of a head
  std::array<std::int32_t, kPoolHeads> oldest;  ///< which goes next, once there are kPoolMembers
  std::array<std::int32_t, kPoolHeads> first_energy;  ///< of its first state
  std::array<Combination, kPoolAnswers> answers;
  std::array<std::uint64_t, kPoolTried> tried;
  Combination best;
  std::array<Combination, kProposals> found;  ///< of the last search, the lowest first
  std::int32_t found_count;
  std::int32_t shift;
  std::int32_t members;       ///< of the head that has most
  std::int32_t answer_count;  ///< of all that came, also those that went
  std::int32_t tried_count;
  std::int32_t searches;
  std::int32_t
      limit;  ///< how much more than the best answer what a search proposes may cost, in half steps
};

/// Solves of fewer restarts are for the lowest latency: their rounds do not recombine, which takes
/// as long as a round.
inline constexpr std::int32_t kPoolRestarts = 8;

/// Whether a pool is for problems of that shape.
[[nodiscard]] constexpr bool can_recombine(const ProblemShape& shape) noexcept {
  return shape.heads >= 2 && shape.heads <= kPoolHeads && shape.tokens <= 64;
}
/// Whether one is for `problem`.
[[nodiscard]] constexpr bool can_recombine(const DenseView& problem) noexcept {
  return can_recombine(problem.shape) && problem.penalty > 0;
}

/// What HeadPool::limit is when the best answer has `energy`: a 64th of it. What lies higher takes
/// as long to adapt and is worth less.
[[nodiscard]] constexpr std::int32_t proposal_limit(std::int64_t energy, std::int32_t shift,
                                                    std::int32_t penalty) noexcept {
  const std::int64_t half_steps = -energy / 32 * (std::int64_t{1} << shift) / penalty;
  return half_steps < 0           ? 0
         : half_steps > INT32_MAX ? INT32_MAX
                                  : static_cast<std::int32_t>(half_steps);
}

/// Empties the pool for a solve of `problem`; without a limit.
void start_pool(HeadPool& pool, const DenseView& problem) noexcept;

/// Takes the answers of `chains`; `best` is the one that is the best of all so far, or -1.
using CollectFunction = void (*)(HeadPool& pool, const DenseView& problem,
                                 std::span<const Chain> chains, std::int32_t best);

/// Searches; the combinations are HeadPool::found, none above HeadPool::limit. Returns how many
/// there are.
using SearchFunction = std::int32_t (*)(HeadPool& pool, const DenseView& problem);

/// Sets `chains` to combinations that were found, from number `first` on and from 0 again behind
/// the last: spins, fields and counts. Where a state went since the search, what took its place is
/// meant. At least one must have been found.
using AssembleFunction = void (*)(const HeadPool& pool, const DenseView& problem,
                                  std::int32_t first, std::span<Chain> chains);

void collect_reference(HeadPool& pool, const DenseView& problem, std::span<const Chain> chains,
                       std::int32_t best);
std::int32_t search_reference(HeadPool& pool, const DenseView& problem);
void assemble_reference(const HeadPool& pool, const DenseView& problem, std::int32_t first,
                        std::span<Chain> chains);

/// A state's part of the number by which a combination is remembered: the sum over its heads.
[[nodiscard]] std::uint64_t state_hash(std::uint64_t word, std::int32_t head) noexcept;

/// A state's own energy in steps.
[[nodiscard]] constexpr std::int16_t own_steps(std::int32_t energy, std::int32_t first,
                                               std::int32_t shift, std::int32_t penalty) noexcept {
  const std::int64_t limit = std::int64_t{1} << (30 - shift);
  std::int64_t above = static_cast<std::int64_t>(energy) - first;
  above = above > limit ? limit : above < -limit ? -limit : above;
  const std::int32_t steps =
      static_cast<std::int32_t>(above * (std::int64_t{1} << shift)) / penalty;
  return static_cast<std::int16_t>(steps > kPoolOwnLimit    ? kPoolOwnLimit
                                   : steps < -kPoolOwnLimit ? -kPoolOwnLimit
                                                            : steps);
}

/// States of a head that differ in no more spins than this are one basin: none of them is forced on
/// the other.
[[nodiscard]] constexpr std::int32_t near_distance(std::int32_t tokens) noexcept {
  return tokens / 8;
}

}  // namespace qama::hal::cpu
