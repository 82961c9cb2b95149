// Recombining answers as it is defined: plain and sequential, sums over pairs of heads taken anew
// wherever they are needed. Belongs here: nothing fast.
#include <algorithm>
#include <bit>
#include <cstddef>

#include "hal/cpu/dense/recombine.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"

namespace qama::hal::cpu {

void start_pool(HeadPool& pool, const DenseView& problem) noexcept {
  for (auto& row : pool.own.at) row.fill(kPoolAbsent);
  for (auto& words : pool.word) words.fill(0);
  pool.size.fill(0);
  pool.oldest.fill(0);
  pool.best.fill(0);
  pool.shift = 0;
  const std::int32_t most = problem.shape.tokens * (problem.shape.heads - 1);
  while ((most << (pool.shift + 1)) < (1 << kPoolOverlapBits)) ++pool.shift;
  pool.members = 0;
  pool.answer_count = 0;
  pool.tried_count = 0;
  pool.searches = 0;
  pool.limit = INT32_MAX;
  pool.found_count = 0;
}

std::uint64_t state_hash(std::uint64_t word, std::int32_t head) noexcept {
  return counter_random(word, static_cast<std::uint64_t>(head));
}

namespace {

class ReferencePool {
 public:
  ReferencePool(HeadPool& pool, const DenseView& problem)
      : pool_(pool), problem_(problem), heads_(problem.shape.heads) {}

  void collect(const Chain& chain, bool best) {
    Combination answer{};
    for (std::int32_t t = 0; t < heads_; ++t) answer[at(t)] = insert(chain, t);
    pool_.answers[at(pool_.answer_count % kPoolAnswers)] = answer;
    ++pool_.answer_count;
    remember(hash(answer));
    if (best) pool_.best = answer;
  }

  // For every state of a head that is far from the best answer's: the best combination that has it,
  // by descent from the best answer and from one other. The lowest of those that nobody had yet.
  std::int32_t search() {
    struct Candidate {
      std::int32_t energy;
      Combination states;
    };
    std::array<Candidate, kProposals + 1> lowest{};
    std::int32_t count = 0;
    const std::int32_t answers = std::min(pool_.answer_count, kPoolAnswers);
    const std::int32_t best_energy = twice_energy(pool_.best);
    std::int32_t turn = 10 * pool_.searches;
    ++pool_.searches;
    for (std::int32_t t = 0; t < heads_; ++t) {
      for (std::int32_t k = 0; k < pool_.size[at(t)]; ++k) {
        if (std::popcount(word(t, k) ^ word(t, pool_.best[at(t)])) <=
            near_distance(problem_.shape.tokens))
          continue;
        Candidate candidate{0, pool_.best};
        candidate.energy = descend(t, k, candidate.states);
        turn += 3;
        Candidate other{0, pool_.answers[at(turn % answers)]};
        other.energy = descend(t, k, other.states);
        if (other.energy < candidate.energy) candidate = other;
        if (candidate.energy - best_energy > pool_.limit) continue;
        const std::uint64_t name = hash(candidate.states);
        bool known = was_tried(name);
        for (std::int32_t i = 0; i < count; ++i)
          known = known || hash(lowest[at(i)].states) == name;
        if (known) continue;
        std::int32_t place = count;
        for (; place > 0 && lowest[at(place - 1)].energy > candidate.energy; --place) {
          lowest[at(place)] = lowest[at(place - 1)];
        }
        lowest[at(place)] = candidate;
        count = std::min(count + 1, kProposals);
      }
    }
    for (std::int32_t i = 0; i < count; ++i) {
      pool_.found[at(i)] = lowest[at(i)].states;
      remember(hash(pool_.found[at(i)]));
    }
    pool_.found_count = count;
    return count;
  }

 private:
  static std::size_t at(std::int32_t index) { return static_cast<std::size_t>(index); }
  [[nodiscard]] std::uint64_t word(std::int32_t t, std::int32_t k) const {
    return pool_.word[at(k)][at(t)];
  }

  std::int16_t insert(const Chain& chain, std::int32_t t) {
    std::int32_t& size = pool_.size[at(t)];
    for (std::int32_t k = 0; k < size; ++k) {
      if (word(t, k) == chain.spins[t]) return static_cast<std::int16_t>(k);
    }
    std::int32_t slot = size;
    if (size < kPoolMembers) {
      ++size;
      pool_.members = std::max(pool_.members, size);
    } else {  // the oldest goes, but not the best answer's
      slot = pool_.oldest[at(t)];
      if (slot == pool_.best[at(t)]) slot = (slot + 1) % kPoolMembers;
      pool_.oldest[at(t)] = (slot + 1) % kPoolMembers;
    }
    pool_.word[at(slot)][at(t)] = chain.spins[t];
    pool_.hash[at(t)][at(slot)] = state_hash(chain.spins[t], t);
    std::int32_t twice = 0;
    for (std::int32_t i = 0; i < 64; ++i) {
      const std::int16_t field = chain.fields[t * 64 + i];
      pool_.fields[at(t)][at(slot)][at(i)] = field;
      if ((chain.spins[t] >> i & 1U) != 0) twice -= field + problem_.fields[t * 64 + i];
    }
    if (size == 1) pool_.first_energy[at(t)] = twice / 2;
    pool_.own.at[at(slot)][at(t)] =
        own_steps(twice / 2, pool_.first_energy[at(t)], pool_.shift, problem_.penalty);
    return static_cast<std::int16_t>(slot);
  }

  // Energy of state k of head t beside the other heads' states.
  [[nodiscard]] std::int32_t cost(std::int32_t t, std::int32_t k, const Combination& states) const {
    std::int32_t overlap = 0;
    for (std::int32_t u = 0; u < heads_; ++u) {
      if (u != t) overlap += std::popcount(word(t, k) & word(u, states[at(u)]));
    }
    return pool_.own.at[at(k)][at(t)] + (overlap << pool_.shift);
  }

  // Twice, because a pair of heads is in both heads' costs.
  [[nodiscard]] std::int32_t twice_energy(const Combination& states) const {
    std::int32_t energy = 0;
    for (std::int32_t t = 0; t < heads_; ++t) {
      energy += cost(t, states[at(t)], states) + pool_.own.at[states[at(t)]][at(t)];
    }
    return energy;
  }

  // Head `held` gets state k; then, while it helps, the head changes whose change helps most, the
  // first among equals. Returns twice the energy.
  std::int32_t descend(std::int32_t held, std::int32_t k, Combination& states) const {
    std::int32_t energy = twice_energy(states);
    energy += 2 * (cost(held, k, states) - cost(held, states[at(held)], states));
    states[at(held)] = static_cast<std::int16_t>(k);
    for (std::int32_t step = 0; step < kPoolSteps; ++step) {
      std::int32_t best = 0;
      std::int32_t best_head = 0;
      std::int32_t best_state = 0;
      for (std::int32_t t = 0; t < heads_; ++t) {
        if (t == held) continue;
        std::int32_t lowest = 0;
        for (std::int32_t m = 1; m < pool_.size[at(t)]; ++m) {
          if (cost(t, m, states) < cost(t, lowest, states)) lowest = m;
        }
        const std::int32_t change = std::max(
            cost(t, lowest, states) - cost(t, states[at(t)], states), -std::int32_t{kPoolOwnLimit});
        if (change < best) {
          best = change;
          best_head = t;
          best_state = lowest;
        }
      }
      if (best == 0) break;
      energy += 2 * best;
      states[at(best_head)] = static_cast<std::int16_t>(best_state);
    }
    return energy;
  }

  [[nodiscard]] std::uint64_t hash(const Combination& states) const {
    std::uint64_t sum = 0;
    for (std::int32_t t = 0; t < heads_; ++t) sum += pool_.hash[at(t)][states[at(t)]];
    return sum;
  }
  void remember(std::uint64_t name) {
    pool_.tried[at(pool_.tried_count % kPoolTried)] = name;
    ++pool_.tried_count;
  }
  [[nodiscard]] bool was_tried(std::uint64_t name) const {
    const auto end = pool_.tried.begin() + std::min(pool_.tried_count, kPoolTried);
    return std::find(pool_.tried.begin(), end, name) != end;
  }

  HeadPool& pool_;
  const DenseView& problem_;
  const std::int32_t heads_;
};

void assemble(const HeadPool& pool, const DenseView& problem, const Combination& states,
              Chain& chain) {
  std::fill_n(chain.counts, 64, std::int16_t{0});
  for (std::size_t t = 0; t < static_cast<std::size_t>(problem.shape.heads); ++t) {
    const std::uint64_t word = pool.word[states[t]][t];
    chain.spins[t] = word;
    std::copy_n(pool.fields[t][states[t]].data(), 64, chain.fields + t * 64);
    for (std::int32_t i = 0; i < 64; ++i) {
      const bool selected = ((word >> i) & 1U) != 0;
      chain.counts[i] =
          static_cast<std::int16_t>(chain.counts[i] + (selected ? problem.penalty : 0));
    }
  }
}

}  // namespace

void collect_reference(HeadPool& pool, const DenseView& problem, std::span<const Chain> chains,
                       std::int32_t best) {
  ReferencePool reference(pool, problem);
  // The best one last, so that no other answer's states take the place of its own.
  for (std::int32_t c = 0; c < static_cast<std::int32_t>(chains.size()); ++c) {
    if (c != best) reference.collect(chains[static_cast<std::size_t>(c)], false);
  }
  if (best >= 0) reference.collect(chains[static_cast<std::size_t>(best)], true);
}

std::int32_t search_reference(HeadPool& pool, const DenseView& problem) {
  return ReferencePool(pool, problem).search();
}

void assemble_reference(const HeadPool& pool, const DenseView& problem, std::int32_t first,
                        std::span<Chain> chains) {
  for (std::size_t c = 0; c < chains.size(); ++c) {
    const auto number =
        (static_cast<std::size_t>(first) + c) % static_cast<std::size_t>(pool.found_count);
    assemble(pool, problem, pool.found[number], chains[c]);
  }
}

}  // namespace qama::hal::cpu
