// The fast form of recombine_reference.cpp, a template over xsimd's architectures, compiled by
// recombine_<target>.cpp. It must propose the same combinations.
//
// How it works. What a state costs beside the other heads' states is kept for all states of all
// heads at once: 16 rows of 8 lanes, lanes are heads; as many rows to a vector as go in. A change
// of one head adds one table of overlaps to it and takes one away, and the lowest state of each
// head is a minimum of vectors, whose rows are folded at the end. A lane without its state has
// kPoolAbsent there and no overlaps, so that it never is the lowest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/cpu/dense/recombine.h"
#include "hal/cpu/isa/simd_shim.h"
#include "hal/cpu/kernel.h"

namespace qama::hal::cpu {
namespace {

template <class Arch>
class FastPool {
  using Batch = Lanes<Arch>;
  using Batch64 = Lanes64<Arch>;
  static_assert(kPoolHeads == 8, "a row is a vector of 128 bits");
  static constexpr std::size_t kTableVectors = 2 * kVectors<Arch>;
  static_assert(kPoolMembers * kPoolHeads == 128, "a table is twice 64 lanes");

 public:
  FastPool(HeadPool& pool, const DenseView& problem)
      : pool_(pool), problem_(problem), heads_(problem.shape.heads) {}

  void collect(const Chain& chain, bool best) {
    // Which states are known, all heads at once; the first of equals, which absent states (0) are
    // behind.
    alignas(64) std::array<std::uint64_t, kPoolHeads> word{};
    alignas(64) std::array<std::uint64_t, kPoolHeads> known;
    for (std::int32_t t = 0; t < heads_; ++t) word[t] = chain.spins[t];
    known.fill(kPoolMembers);
    for (std::int32_t m = pool_.members - 1; m >= 0; --m) {
      for (std::int32_t t = 0; t < kPoolHeads; ++t) {
        known[t] = pool_.word[m][t] == word[t] ? static_cast<std::uint64_t>(m) : known[t];
      }
    }
    Combination answer{};
    std::uint64_t name = 0;
    for (std::int32_t t = 0; t < heads_; ++t) {
      auto k = static_cast<std::int32_t>(known[t]);
      if (k >= pool_.size[t]) k = insert(chain, t);
      answer[t] = static_cast<std::int16_t>(k);
      name += pool_.hash[t][k];
    }
    pool_.answers[pool_.answer_count % kPoolAnswers] = answer;
    ++pool_.answer_count;
    remember(name);
    if (best) pool_.best = answer;
  }

  std::int32_t search() {
    std::array<Candidate, kProposals + 1> lowest;
    std::int32_t count = 0;
    const std::int32_t answers =
        pool_.answer_count < kPoolAnswers ? pool_.answer_count : kPoolAnswers;
    const std::int32_t near = near_distance(problem_.shape.tokens);
    std::int32_t turn = 10 * pool_.searches;
    ++pool_.searches;
    PoolTable beside_best;
    load(pool_.best, beside_best);
    const std::int32_t best_energy = twice_energy(pool_.best, beside_best);
    // What is forced: states far from the best answer's.
    std::array<Forced, kPoolHeads * kPoolMembers> forced;
    std::int32_t forced_count = 0;
    for (std::int32_t t = 0; t < heads_; ++t) {
      const std::uint64_t here = pool_.word[pool_.best[t]][t];
      for (std::int32_t k = 0; k < pool_.size[t]; ++k) {
        forced[forced_count] = {static_cast<std::uint8_t>(t), static_cast<std::uint8_t>(k)};
        forced_count += __builtin_popcountll(pool_.word[k][t] ^ here) > near ? 1 : 0;
      }
    }
    std::array<Descent, kTogether> run;
    for (std::int32_t first = 0; first < forced_count; first += kTogether / 2) {
      for (std::int32_t r = 0; r < kTogether; ++r) {
        // Behind the last one comes that one again, which is then known.
        const Forced& now = forced[first + r / 2 < forced_count ? first + r / 2 : forced_count - 1];
        if (r % 2 == 0) {
          begin(run[r], now, pool_.best, beside_best, best_energy);
        } else {
          const Combination& other = pool_.answers[(turn + 3 * (first + r / 2 + 1)) % answers];
          load(other, run[r].beside);
          begin(run[r], now, other, run[r].beside, twice_energy(other, run[r].beside));
        }
      }
      descend(run);
      for (std::int32_t r = 0; r < kTogether && first + r / 2 < forced_count; r += 2) {
        const Descent& better = run[r + 1].energy < run[r].energy ? run[r + 1] : run[r];
        if (better.energy - best_energy > pool_.limit) continue;
        if (count == kProposals && better.energy >= lowest[kProposals - 1].energy) continue;
        Candidate candidate;
        candidate.energy = better.energy;
        candidate.states = better.state;
        candidate.name = 0;
        for (std::int32_t u = 0; u < heads_; ++u) {
          candidate.name += pool_.hash[u][better.state[u]];
        }
        bool known = was_tried(candidate.name);
        for (std::int32_t i = 0; i < count; ++i) known |= lowest[i].name == candidate.name;
        if (known) continue;
        std::int32_t place = count;
        for (; place > 0 && lowest[place - 1].energy > candidate.energy; --place) {
          lowest[place] = lowest[place - 1];
        }
        lowest[place] = candidate;
        count = count < kProposals ? count + 1 : kProposals;
      }
    }
    for (std::int32_t i = 0; i < count; ++i) {
      pool_.found[i] = lowest[i].states;
      remember(lowest[i].name);
    }
    pool_.found_count = count;
    return count;
  }

 private:
  struct Candidate {
    std::int32_t energy;
    std::uint64_t name;
    Combination states;
  };

  struct Forced {
    std::uint8_t head, state;
  };
  struct Descent {
    PoolTable beside;
    Combination state;
    // Apart, or GCC makes a vector of two of them first.
    const PoolTable* from;
    std::int32_t energy;
    const PoolTable* joins;
    std::int32_t held;
    const PoolTable* leaves;
  };
  /// Descents in lock-step, from the best answer and from another one by turns.
  static constexpr std::int32_t kTogether = 4;

  static constexpr std::array<std::int16_t, kPoolHeads> kHeadNumbers{0, 1, 2, 3, 4, 5, 6, 7};

  /// The number of its state, for every lane of a table.
  static constexpr std::array<std::int16_t, kPoolMembers * kPoolHeads> state_numbers() {
    std::array<std::int16_t, kPoolMembers * kPoolHeads> out{};
    for (std::size_t k = 0; k < out.size(); ++k) out[k] = static_cast<std::int16_t>(k / kPoolHeads);
    return out;
  }
  alignas(64) static constexpr std::array<std::int16_t, kPoolMembers* kPoolHeads> kStateNumbers =
      state_numbers();

  QAMA_ALWAYS_INLINE static Batch vector(const PoolTable& table, std::size_t v) {
    return Batch::load_aligned(table.at[0].data() + v * Batch::size);
  }

  std::int32_t insert(const Chain& chain, std::int32_t t) {
    std::int32_t& size = pool_.size[t];
    std::int32_t slot = size;
    if (size < kPoolMembers) {
      ++size;
      if (pool_.members < size) pool_.members = size;
    } else {
      slot = pool_.oldest[t];
      if (slot == pool_.best[t]) slot = (slot + 1) % kPoolMembers;
      pool_.oldest[t] = (slot + 1) % kPoolMembers;
    }
    const std::uint64_t word = chain.spins[t];
    pool_.word[slot][t] = word;
    pool_.hash[t][slot] = state_hash(word, t);
    const std::int16_t* const from = chain.fields + static_cast<std::size_t>(t) * 64;
    const std::int16_t* const own_fields = problem_.fields + static_cast<std::size_t>(t) * 64;
    std::int16_t* const to = pool_.fields[t][slot].data();
    const Batch64 own = lanes_of_bits(word, Arch{});
    Sums<Arch> twice;
    for (std::size_t k = 0; k < kVectors<Arch>; ++k) {
      const std::size_t lane = k * Batch::size;
      const Batch field = Batch::load_aligned(from + lane);
      field.store_aligned(to + lane);
      twice.add(own[k] & field);
      twice.add(own[k] & Batch::load_aligned(own_fields + lane));
    }
    const auto energy = static_cast<std::int32_t>(-twice.take() / 2);
    if (size == 1) pool_.first_energy[t] = energy;
    pool_.own.at[slot][t] = own_steps(energy, pool_.first_energy[t], pool_.shift, problem_.penalty);
    // Overlaps with all other heads' states, both ways. A state that is not there has no spins.
    PoolTable& overlap = pool_.overlap[t][slot];
    for (std::int32_t m = 0; m < pool_.members; ++m) {
      for (std::int32_t u = 0; u < kPoolHeads; ++u) {
        const std::int32_t shared = u == t ? 0 : __builtin_popcountll(word & pool_.word[m][u]);
        const auto steps = static_cast<std::int16_t>(shared << pool_.shift);
        overlap.at[m][u] = steps;
        pool_.overlap[u][m].at[slot][t] = steps;
      }
    }
    for (std::int32_t m = pool_.members; m < kPoolMembers; ++m) {
      Row(std::int16_t{0}).store_aligned(overlap.at[m].data());
    }
    return slot;
  }

  // What every state costs beside the states of the other heads.
  void load(const Combination& states, PoolTable& beside) const {
    for (std::size_t v = 0; v < kTableVectors; ++v) {
      Batch sum = vector(pool_.own, v);
      for (std::int32_t t = 0; t < heads_; ++t) {
        sum = sum + vector(pool_.overlap[t][states[t]], v);
      }
      sum.store_aligned(beside.at[0].data() + v * Batch::size);
    }
  }

  [[nodiscard]] std::int32_t twice_energy(const Combination& states,
                                          const PoolTable& beside) const {
    std::int32_t energy = 0;
    for (std::int32_t t = 0; t < heads_; ++t) {
      energy += beside.at[states[t]][t] + pool_.own.at[states[t]][t];
    }
    return energy;
  }

  void begin(Descent& run, const Forced& forced, const Combination& states, const PoolTable& beside,
             std::int32_t energy) const {
    const std::int32_t t = forced.head;
    const std::int32_t k = forced.state;
    run.energy = energy + 2 * (beside.at[k][t] - beside.at[states[t]][t]);
    run.joins = &pool_.overlap[t][k];
    run.leaves = &pool_.overlap[t][states[t]];
    run.from = &beside;
    run.held = t;
    set_state(Row::load_aligned(states.data()), t, k, run.state);
  }

  // `states` with another one for head t. Written as a whole: a vector of which a part was written
  // cannot be read before that part is in the cache.
  QAMA_ALWAYS_INLINE static void set_state(const Row& states, std::int32_t t, std::int32_t next,
                                           Combination& out) {
    const Row numbers = Row::load_unaligned(kHeadNumbers.data());
    xsimd::select(numbers == Row(static_cast<std::int16_t>(t)),
                  Row(static_cast<std::int16_t>(next)), states)
        .store_aligned(out.data());
  }

  // All descents in lock-step, because one alone waits for its minimum in every step. One that has
  // ended changes a state for itself.
  void descend(std::array<Descent, kTogether>& run) const {
    const Row zero(std::int16_t{0});
    const Row numbers = Row::load_unaligned(kHeadNumbers.data());
    for (std::int32_t step = 0; step < kPoolSteps; ++step) {
      bool moving = false;
      for (Descent& one : run) {
        const Batch current = repeated<Arch>(Row::load_aligned(one.state.data()));
        const PoolTable& from = *one.from;
        const PoolTable& joins = *one.joins;
        const PoolTable& leaves = *one.leaves;
        Batch low(std::int16_t{32767});
        Batch now(std::int16_t{0});  // what the current states cost
        for (std::size_t v = 0; v < kTableVectors; ++v) {
          const Batch here = vector(from, v) + vector(joins, v) - vector(leaves, v);
          here.store_aligned(one.beside.at[0].data() + v * Batch::size);
          low = xsimd::min(low, here);
          const Batch number = Batch::load_aligned(kStateNumbers.data() + v * Batch::size);
          now = xsimd::select(number == current, here, now);
        }
        one.from = &one.beside;
        const Row lowest = folded_min(low);
        // A change and its head as one number, no two alike.
        const Row change = xsimd::select(
            numbers == Row(static_cast<std::int16_t>(one.held)), zero,
            xsimd::max(lowest - folded_or(now), Row(static_cast<std::int16_t>(-kPoolOwnLimit))));
        const std::int32_t best = xsimd::reduce_min((change << 3) | numbers);
        const std::int32_t t = best & (kPoolHeads - 1);
        const std::int16_t old = one.state[t];
        const std::int16_t wanted = first_of(one.beside, repeated<Arch>(lowest), t);
        const std::int16_t next = best < 0 ? wanted : old;
        one.energy += 2 * (best >> 3);
        one.joins = &pool_.overlap[t][next];
        one.leaves = &pool_.overlap[t][old];
        set_state(Row::load_aligned(one.state.data()), t, next, one.state);
        moving |= best < 0;
      }
      if (!moving) break;
    }
  }

  // The first state of head t that costs as much as `lowest` says in its lane. No branches: half of
  // the time nobody knows.
  [[nodiscard]] QAMA_ALWAYS_INLINE static std::int16_t first_of(const PoolTable& beside,
                                                                const Batch& lowest,
                                                                std::int32_t t) {
    constexpr std::uint64_t kLaneOfHead0 = 0x0101010101010101ULL;
    std::array<std::uint64_t, 2> bits;
    for (std::size_t half = 0; half < 2; ++half) {
      Mask64<Arch> same;
      for (std::size_t k = 0; k < kVectors<Arch>; ++k) {
        same[k] = vector(beside, half * kVectors<Arch> + k) == lowest;
      }
      bits[half] = mask_bits(same) >> t & kLaneOfHead0;
    }
    const std::uint64_t low = lowest_number(bits[0]) / kPoolHeads;
    const std::uint64_t high = kPoolMembers / 2 + lowest_number(bits[1]) / kPoolHeads;
    return static_cast<std::int16_t>(bits[0] != 0 ? low : high);
  }

  void remember(std::uint64_t name) {
    pool_.tried[pool_.tried_count % kPoolTried] = name;
    ++pool_.tried_count;
  }
  [[nodiscard]] bool was_tried(std::uint64_t name) const {
    const std::int32_t count = pool_.tried_count < kPoolTried ? pool_.tried_count : kPoolTried;
    std::uint64_t same = 0;
    for (std::int32_t i = 0; i < count; ++i) same += pool_.tried[i] == name ? 1U : 0U;
    return same != 0;
  }

  HeadPool& pool_;
  const DenseView& problem_;
  const std::int32_t heads_;
};

template <class Arch>
void collect_fast(HeadPool& pool, const DenseView& problem, std::span<const Chain> chains,
                  std::int32_t best) {
  FastPool<Arch> fast(pool, problem);
  // The best one last, so that no other answer's states take the place of its own.
  for (std::int32_t c = 0; c < static_cast<std::int32_t>(chains.size()); ++c) {
    if (c != best) fast.collect(chains[c], false);
  }
  if (best >= 0) fast.collect(chains[best], true);
}

template <class Arch>
std::int32_t search_fast(HeadPool& pool, const DenseView& problem) {
  return FastPool<Arch>(pool, problem).search();
}

template <class Arch>
void assemble_fast(const HeadPool& pool, const DenseView& problem, std::int32_t first,
                   std::span<Chain> chains) {
  using Batch = Lanes<Arch>;
  const Batch penalty(problem.penalty);
  for (std::size_t c = 0; c < chains.size(); ++c) {
    const Combination& states = pool.found[(static_cast<std::size_t>(first) + c) %
                                           static_cast<std::size_t>(pool.found_count)];
    Chain& chain = chains[c];
    Lanes64<Arch> counts;
    counts.fill(Batch(std::int16_t{0}));
    for (std::int32_t t = 0; t < problem.shape.heads; ++t) {
      const std::uint64_t word = pool.word[states[t]][t];
      const std::int16_t* const from = pool.fields[t][states[t]].data();
      chain.spins[t] = word;
      const Lanes64<Arch> own = lanes_of_bits(word, Arch{});
      for (std::size_t k = 0; k < kVectors<Arch>; ++k) {
        const std::size_t lane = k * Batch::size;
        Batch::load_aligned(from + lane)
            .store_aligned(chain.fields + static_cast<std::size_t>(t) * 64 + lane);
        counts[k] = counts[k] + (penalty & own[k]);
      }
    }
    for (std::size_t k = 0; k < kVectors<Arch>; ++k) {
      counts[k].store_aligned(chain.counts + k * Batch::size);
    }
  }
}

}  // namespace
}  // namespace qama::hal::cpu
