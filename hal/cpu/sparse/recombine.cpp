#include "hal/cpu/sparse/recombine.h"

#include <algorithm>
#include <bit>
#include <span>

namespace qama::hal::cpu {
namespace {

bool is_set(const std::uint64_t* words, std::int32_t i) {
  return ((words[i / 64] >> (i % 64)) & 1U) != 0;
}
void clear(std::uint64_t* words, std::int32_t i) {
  words[i / 64] &= ~(std::uint64_t{1} << (i % 64));
}

}  // namespace

SparseBest::SparseBest(std::int32_t spins)
    : spins_(static_cast<std::size_t>(words_per_head(spins))),
      fields_(static_cast<std::size_t>(spins)),
      restarts_(spins_.size() * kSparseLanes),
      open_(spins_.size()),
      patch_(static_cast<std::size_t>(spins)) {}

void SparseBest::load(const SparseView& problem, const std::uint64_t* spins) {
  const auto words = static_cast<std::size_t>(words_per_head(problem.spins));
  std::copy_n(spins, words, spins_.begin());
  energy_ = energy_of(problem, std::span(spins_).first(words));
  for (std::int32_t i = 0; i < problem.spins; ++i) {
    std::int32_t field = problem.fields[i];
    for (std::int64_t k = problem.first[i]; k < problem.first[i + 1]; ++k) {
      if (selected(problem.neighbours[k].spin)) field += problem.neighbours[k].coupling;
    }
    fields_[static_cast<std::size_t>(i)] = static_cast<std::int16_t>(field);
  }
}

void SparseBest::take(const SparseView& problem, const SparseChains& chains) {
  const auto words = static_cast<std::size_t>(words_per_head(problem.spins));
  std::fill_n(restarts_.begin(), words * kSparseLanes, 0);
  const std::int16_t* row = chains.selected;
  for (std::int32_t i = 0; i < problem.spins; ++i, row += kSparseLanes) {
    std::uint64_t* const word = restarts_.data() + i / 64;
    for (std::size_t k = 0; k < kSparseLanes; ++k)
      word[k * words] |= static_cast<std::uint64_t>(row[k] & 1) << (i % 64);
  }
  for (std::size_t k = 0; k < static_cast<std::size_t>(chains.count); ++k) {
    std::uint64_t* const differs = restarts_.data() + k * words;
    for (std::size_t w = 0; w < words; ++w) differs[w] ^= spins_[w];
    take_patches(problem, differs);
  }
}

void SparseBest::take_patches(const SparseView& problem, std::uint64_t* differs) {
  const std::int32_t words = words_per_head(problem.spins);
  std::copy_n(differs, words, open_.begin());
  for (std::int32_t w = 0; w < words; ++w) {
    while (open_[static_cast<std::size_t>(w)] != 0) {
      std::size_t size = 0;
      patch_[size++] = 64 * w + std::countr_zero(open_[static_cast<std::size_t>(w)]);
      clear(open_.data(), patch_[0]);
      // dE = - sum_i d_i g_i - sum_{i<j} W_ij d_i d_j over the patch, d = 1 for a spin that joins
      // and -1 for one that leaves; twice that, for pairs are met twice.
      std::int64_t twice = 0;
      for (std::size_t at = 0; at < size; ++at) {
        const std::int32_t i = patch_[at];
        std::int64_t sum = 2 * fields_[static_cast<std::size_t>(i)];
        for (std::int64_t k = problem.first[i]; k < problem.first[i + 1]; ++k) {
          const Neighbour& next = problem.neighbours[k];
          if (!is_set(differs, next.spin)) continue;
          sum += selected(next.spin) ? -next.coupling : next.coupling;
          if (!is_set(open_.data(), next.spin)) continue;
          clear(open_.data(), next.spin);
          patch_[size++] = next.spin;
        }
        twice += selected(i) ? sum : -sum;
      }
      if (twice > 0) continue;
      energy_ += twice / 2;
      for (std::size_t at = 0; at < size; ++at) flip(problem, patch_[at]);
    }
  }
}

void SparseBest::flip(const SparseView& problem, std::int32_t i) {
  const std::int32_t sign = selected(i) ? -1 : 1;
  for (std::int64_t k = problem.first[i]; k < problem.first[i + 1]; ++k) {
    std::int16_t& field = fields_[static_cast<std::size_t>(problem.neighbours[k].spin)];
    field = static_cast<std::int16_t>(field + sign * problem.neighbours[k].coupling);
  }
  spins_[static_cast<std::size_t>(i / 64)] ^= std::uint64_t{1} << (i % 64);
}

}  // namespace qama::hal::cpu
