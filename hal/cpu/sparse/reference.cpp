// The annealer on rows of neighbours as it is defined, plain and scalar: reference.cpp's sweeps and
// descent for one head, one restart after the other.
#include <algorithm>
#include <cstddef>

#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"

namespace qama::hal::cpu {
namespace {

/// One restart, in the first N fields and the scratch words.
class SparseReference {
 public:
  SparseReference(const AnnealJob& job, const SparseView& problem, SparseChains& chains)
      : job_(job),
        problem_(problem),
        chains_(chains),
        fields_(chains.fields),
        spins_(chains.scratch) {}

  std::int64_t run(std::int32_t restart) {
    const auto words = static_cast<std::uint64_t>(words_per_head(problem_.spins));
    if (chains_.from != nullptr) {
      std::copy_n(chains_.from_fields, problem_.spins, fields_);
      std::copy_n(chains_.from, words, spins_);
    } else {
      std::copy_n(problem_.fields, problem_.spins, fields_);
      std::fill_n(spins_, words, 0);
    }
    const std::uint64_t key = restart_key(job_.seed, restart);
    for (std::int32_t sweep = 0; sweep < job_.sweeps; ++sweep) {
      if (job_.stop != nullptr && job_.stop(job_.context)) break;
      metropolis_sweep(key, static_cast<std::uint64_t>(sweep) * words, job_.temperatures[sweep]);
    }
    if (job_.settle) {
      while (descent_sweep()) {
      }
    }
    return energy_of(problem_, {spins_, static_cast<std::size_t>(words)});
  }

 private:
  [[nodiscard]] bool selected(std::int32_t i) const {
    return ((spins_[i / 64] >> (i % 64)) & 1U) != 0;
  }

  [[nodiscard]] std::int32_t flip_cost(std::int32_t i) const {
    return selected(i) ? fields_[i] : -fields_[i];
  }

  void flip(std::int32_t i) {
    const std::int32_t sign = selected(i) ? -1 : 1;
    for (std::int64_t k = problem_.first[i]; k < problem_.first[i + 1]; ++k) {
      std::int16_t& field = fields_[problem_.neighbours[k].spin];
      field = static_cast<std::int16_t>(field + sign * problem_.neighbours[k].coupling);
    }
    spins_[i / 64] ^= std::uint64_t{1} << (i % 64);
    ++chains_.flips;
  }

  void metropolis_sweep(std::uint64_t key, std::uint64_t first_pass, std::uint32_t temperature) {
    for (std::int32_t i = 0; i < problem_.spins; ++i) {
      const std::uint32_t offset =
          variate_offset(key, first_pass + static_cast<std::uint64_t>(i / 64));
      const std::uint32_t variate =
          variate_table().value[offset + static_cast<std::uint32_t>(i % 64)];
      if (flip_cost(i) <= static_cast<std::int32_t>((variate * temperature) >> 16)) flip(i);
    }
    chains_.proposals += problem_.spins;
  }

  bool descent_sweep() {
    bool changed = false;
    for (std::int32_t i = 0; i < problem_.spins; ++i) {
      if (flip_cost(i) >= 0) continue;
      flip(i);
      changed = true;
    }
    chains_.proposals += problem_.spins;
    return changed;
  }

  const AnnealJob& job_;
  const SparseView& problem_;
  SparseChains& chains_;
  std::int16_t* const fields_;
  std::uint64_t* const spins_;
};

}  // namespace

void anneal_sparse_reference(const AnnealJob& job, const SparseView& problem,
                             SparseChains& chains) {
  chains.proposals = chains.flips = 0;
  SparseReference reference(job, problem, chains);
  for (std::int32_t k = 0; k < chains.count; ++k) {
    const std::int64_t energy = reference.run(chains.first + k);
    chains.energy[static_cast<std::size_t>(k)] = energy;
    if (chains.from != nullptr) {
      for (std::int32_t i = 0; i < problem.spins; ++i) {
        const bool set = ((chains.scratch[i / 64] >> (i % 64)) & 1U) != 0;
        chains.selected[static_cast<std::size_t>(i) * kSparseLanes + static_cast<std::size_t>(k)] =
            static_cast<std::int16_t>(set ? -1 : 0);
      }
    }
    if (k > 0 && energy >= chains.energy[static_cast<std::size_t>(chains.best)]) continue;
    chains.best = k;
    std::copy_n(chains.scratch, words_per_head(problem.spins), chains.spins);
  }
}

}  // namespace qama::hal::cpu
