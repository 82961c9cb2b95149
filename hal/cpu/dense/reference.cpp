// The annealer as it is defined: plain, sequential, scalar. Every other kernel must give the same
// spins. Read it against the paper's Eq. 3 and 12; belongs here: nothing fast.
#include <algorithm>
#include <array>
#include <cstddef>

#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"

namespace qama::hal::cpu {
namespace {

class ReferenceAnnealer {
 public:
  ReferenceAnnealer(const AnnealJob& job, Chain& chain)
      : problem_(job.problem),
        heads_(job.problem.shape.heads),
        tokens_(job.problem.shape.tokens),
        words_(words_per_head(tokens_)),
        stride_(static_cast<std::size_t>(row_stride(tokens_))),
        job_(job),
        chain_(chain) {}

  void run() {
    start();
    const std::uint64_t key = restart_key(job_.seed, chain_.restart);
    std::uint64_t pass = 0;
    for (std::int32_t sweep = 0; sweep < job_.sweeps; ++sweep) {
      if (job_.stop != nullptr && job_.stop(job_.context)) break;
      for (std::int32_t k = 0; k < heads_; ++k) {
        const bool cold = job_.reheated > 0 && k >= job_.reheated;
        metropolis_pass(key, pass, head(k), job_.temperatures[cold ? job_.sweeps - 1 : sweep]);
        pass += static_cast<std::uint64_t>(words_);
      }
    }
    if (job_.settle) {
      for (std::int32_t sweep = 0; heads_ == 1 || sweep < kDescentSweeps; ++sweep) {
        if (!descent_sweep()) break;
      }
      // Where no token has a better set of heads, no single flip gains either.
      while (subset_sweep()) {
      }
    }
    chain_.energy = energy_of(problem_, {chain_.spins, static_cast<std::size_t>(heads_) * words_});
  }

 private:
  void start() {
    if (!chain_.resume) {
      for (std::int32_t t = 0; t < heads_; ++t) {
        for (std::int32_t w = 0; w < words_; ++w) chain_.spins[t * words_ + w] = 0;
        for (std::size_t i = 0; i < stride_; ++i) {
          chain_.fields[t * stride_ + i] = problem_.fields[t * stride_ + i];
        }
      }
      for (std::size_t i = 0; i < stride_; ++i) chain_.counts[i] = 0;
    }
    for (std::int32_t k = 0; k < heads_drawn(job_, chain_); ++k) draw(head(k));
    chain_.proposals = 0;
    chain_.flips = 0;
  }

  // A head's first spins, random or from guessed fields.
  void draw(std::int32_t t) {
    const std::uint64_t key = start_key(job_.seed, chain_.restart);
    if (!chain_.resume && starts_random(job_.start, chain_.restart)) {
      for (std::int32_t i = 0; i < tokens_; ++i) {
        const std::uint64_t word = random_spins(key, chain_.restart, t * words_ + i / 64);
        if (selected(t, i) != (((word >> (i % 64)) & 1U) != 0)) flip(t, i);
      }
      return;
    }
    const StartGuess guess = start_guess(chain_.restart, chain_.resume);
    const std::size_t row = static_cast<std::size_t>(t) * tokens_ + start_token(key, t, tokens_);
    for (std::int32_t i = 0; i < tokens_; ++i) {
      const auto field = static_cast<std::int16_t>(
          guess.weight * problem_.couplings[row * stride_ + i] + problem_.fields[t * stride_ + i]);
      const bool wanted = field > (guess.counted ? others(t, i) : problem_.penalty / 2);
      if (selected(t, i) != wanted) flip(t, i);
    }
  }

  [[nodiscard]] std::int32_t head(std::int32_t k) const {
    return job_.reheated > 0 ? chain_.order[k] : k;
  }

  [[nodiscard]] bool selected(std::int32_t t, std::int32_t i) const {
    return ((chain_.spins[t * words_ + i / 64] >> (i % 64)) & 1U) != 0;
  }

  // What the other heads that select token i cost head t there.
  [[nodiscard]] std::int32_t others(std::int32_t t, std::int32_t i) const {
    const std::int32_t count = static_cast<std::uint16_t>(chain_.counts[i]);  // P c may pass 2^15
    return count - (selected(t, i) ? problem_.penalty : 0);
  }

  // Eq. 12: the change of energy if (t, i) flips. g includes the couplings within the head; the
  // penalty counts the other heads that select token i.
  [[nodiscard]] std::int32_t flip_cost(std::int32_t t, std::int32_t i) const {
    const std::int32_t gain = chain_.fields[t * stride_ + i] - others(t, i);
    return selected(t, i) ? gain : -gain;
  }

  void flip(std::int32_t t, std::int32_t i) {
    const std::int32_t sign = selected(t, i) ? -1 : 1;
    const std::int16_t* row =
        problem_.couplings + (static_cast<std::size_t>(t) * tokens_ + i) * stride_;
    for (std::int32_t j = 0; j < tokens_; ++j) {
      auto& field = chain_.fields[t * stride_ + j];
      field = static_cast<std::int16_t>(field + sign * row[j]);
    }
    chain_.counts[i] = static_cast<std::int16_t>(chain_.counts[i] + sign * problem_.penalty);
    chain_.spins[t * words_ + i / 64] ^= std::uint64_t{1} << (i % 64);
    ++chain_.flips;
  }

  // Metropolis: accept if u < exp(-dE / T), that is dE <= -T ln u; the threshold is rounded down,
  // which changes nothing for an integer dE.
  void metropolis_pass(std::uint64_t key, std::uint64_t pass, std::int32_t t,
                       std::uint32_t temperature) {
    for (std::int32_t i = 0; i < tokens_; ++i) {
      const std::uint32_t offset = variate_offset(key, pass + static_cast<std::uint64_t>(i / 64));
      const std::uint32_t variate = variate_table().value[offset + i % 64];
      const auto threshold = static_cast<std::int32_t>((variate * temperature) >> 16);
      if (flip_cost(t, i) <= threshold) flip(t, i);
    }
    chain_.proposals += tokens_;
  }

  bool descent_sweep() {
    bool changed = false;
    for (std::int32_t t = 0; t < heads_; ++t) {
      for (std::int32_t i = 0; i < tokens_; ++i) {
        if (flip_cost(t, i) < 0) {
          flip(t, i);
          changed = true;
        }
      }
    }
    chain_.proposals += static_cast<std::int64_t>(heads_) * tokens_;
    return changed;
  }

  // Of 64 tokens at a time those whose set of heads is not the best one, then one after the other
  // as the fields are when its turn comes.
  bool subset_sweep() {
    if (heads_ == 1) return false;
    bool changed = false;
    std::array<std::int32_t, kMaxHeads> order{};
    for (std::int32_t first = 0; first < tokens_; first += 64) {
      const std::int32_t end = std::min(first + 64, tokens_);
      std::array<bool, 64> suspect{};
      for (std::int32_t i = first; i < end; ++i) {
        suspect[static_cast<std::size_t>(i - first)] = best_set(i, order) >= 0;
      }
      for (std::int32_t i = first; i < end; ++i) {
        if (!suspect[static_cast<std::size_t>(i - first)]) continue;
        const std::int32_t take = best_set(i, order);
        if (take < 0) continue;
        changed = true;
        for (std::int32_t rank = 0; rank < heads_; ++rank) {
          if (selected(order[rank], i) != (rank < take)) flip(order[rank], i);
        }
      }
    }
    return changed;
  }

  // For one token the heads' fields do not depend on each other, so its best set of heads is exact:
  // sort by field, take the k-th while it gains more than the k - 1 penalties that it costs. How
  // many heads of `order` to take; -1 if that is no better than what is selected.
  [[nodiscard]] std::int32_t best_set(std::int32_t i,
                                      std::array<std::int32_t, kMaxHeads>& order) const {
    for (std::int32_t t = 0; t < heads_; ++t) order[t] = t;
    const auto field = [&](std::int32_t t) { return chain_.fields[t * stride_ + i]; };
    std::stable_sort(order.begin(), order.begin() + heads_,
                     [&](std::int32_t a, std::int32_t b) { return field(a) > field(b); });
    std::int32_t take = 0;
    std::int64_t best = 0;
    while (take < heads_ && field(order[take]) > problem_.penalty * take) {
      best -= field(order[take]) - problem_.penalty * take;
      ++take;
    }
    std::int64_t current = 0;
    std::int32_t count = 0;
    for (std::int32_t t = 0; t < heads_; ++t) {
      if (!selected(t, i)) continue;
      current -= field(t) - problem_.penalty * count;
      ++count;
    }
    return best < current ? take : -1;
  }

  const DenseView& problem_;
  const std::int32_t heads_;
  const std::int32_t tokens_;
  const std::int32_t words_;
  const std::size_t stride_;
  const AnnealJob& job_;
  Chain& chain_;
};

}  // namespace

void anneal_reference(const AnnealJob& job, std::span<Chain> chains) {
  for (Chain& chain : chains) ReferenceAnnealer(job, chain).run();
}

}  // namespace qama::hal::cpu
