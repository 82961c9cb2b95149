#include "hal/search/tabu.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "hal/base/checked.h"

namespace qama::hal {
namespace {

constexpr std::size_t kPool = 10;
/// Runs that did not change a full pool, after which it starts anew around its best answer.
constexpr std::int32_t kPatienceOfPool = 30;
/// Rows are full where at least one of so many couplings is there, and up to so many variables
/// (128 MiB).
constexpr std::int64_t kFullFrom = 8;
constexpr std::int32_t kFullSpins = 4096;
/// Flips between two looks at the clock.
constexpr std::int64_t kStepsALook = 64;
constexpr std::int64_t kFewestSteps = 1 << 14;

}  // namespace

double weight_of(const Landscape& landscape, const Landscape::Term& term) {
  return std::ldexp(static_cast<double>(term.mantissa), term.shift + landscape.exponent());
}

TabuRows::TabuRows(const Landscape& landscape)
    : size_(landscape.size()),
      padded_(static_cast<std::int32_t>(round_up(static_cast<std::size_t>(landscape.size()),
                                                 static_cast<std::size_t>(cpu::kTabuBlock)))) {
  const auto size = static_cast<std::size_t>(size_);
  const auto padded = static_cast<std::size_t>(padded_);
  const auto weight = [&](const Landscape::Term& term) { return weight_of(landscape, term); };
  linear_.resize(padded);
  std::fill(linear_.data() + size, linear_.data() + padded,
            std::numeric_limits<double>::infinity());
  for (const Landscape::Term& term : landscape.linear())
    linear_[static_cast<std::size_t>(term.other)] += weight(term);
  if (size_ <= kFullSpins &&
      landscape.terms() >= static_cast<std::int64_t>(size_) * size_ / kFullFrom) {
    full_.resize(size * padded);
    for (std::size_t i = 0; i < size; ++i) {
      for (const Landscape::Term& term : landscape.row(static_cast<std::int32_t>(i)))
        full_[i * padded + static_cast<std::size_t>(term.other)] += weight(term);
    }
    return;
  }
  first_.reserve(size + 1);
  entries_.reserve(static_cast<std::size_t>(landscape.terms()));
  first_.push_back(0);
  for (std::int32_t i = 0; i < size_; ++i) {
    for (const Landscape::Term& term : landscape.row(i)) {
      const bool again = static_cast<std::int64_t>(entries_.size()) > first_.back() &&
                         entries_.back().other == term.other;
      if (!again) entries_.push_back({0, term.other});
      entries_.back().weight += weight(term);
    }
    first_.push_back(static_cast<std::int64_t>(entries_.size()));
  }
}

double TabuRows::weight(std::int32_t i, std::int32_t j) const {
  const auto k = static_cast<std::size_t>(i);
  if (!full_.empty())
    return full_[k * static_cast<std::size_t>(padded_) + static_cast<std::size_t>(j)];
  const auto at = [this](std::size_t row) {
    return entries_.begin() + static_cast<std::ptrdiff_t>(first_[row]);
  };
  const auto end = at(k + 1);
  const auto found = std::lower_bound(
      at(k), end, j, [](const Entry& entry, std::int32_t other) { return entry.other < other; });
  return found != end && found->other == j ? found->weight : 0;
}

TabuSearch::TabuSearch(const TabuRows& rows, const cpu::TabuKernel& kernel)
    : rows_(rows),
      kernel_(kernel),
      size_(rows.size()),
      fields_(static_cast<std::size_t>(rows.padded())),
      signs_(static_cast<std::size_t>(rows.padded())),
      free_from_(static_cast<std::size_t>(rows.padded())),
      spins_(static_cast<std::size_t>(words_per_head(rows.size()))) {
  load(spins_);
}

std::int64_t TabuSearch::steps_of_a_part() const noexcept {
  return std::max<std::int64_t>(kFewestSteps, 20 * static_cast<std::int64_t>(size_));
}

/// Anew, so that what sums of doubles have lost does not pile up.
void TabuSearch::load(std::span<const std::uint64_t> spins) {
  std::copy(rows_.linear().begin(), rows_.linear().end(), fields_.data());
  std::fill_n(signs_.data(), rows_.padded(), 1.0);
  std::vector<std::uint64_t> target(spins.begin(), spins.end());
  std::fill(spins_.begin(), spins_.end(), 0);
  energy_ = 0;
  go_to(target);
}

void TabuSearch::go_to(std::span<const std::uint64_t> spins) {
  for (std::size_t w = 0; w < spins_.size(); ++w) {
    for (std::uint64_t open = spins_[w] ^ spins[w]; open != 0; open &= open - 1)
      flip(static_cast<std::int32_t>(64 * w) + std::countr_zero(open));
  }
}

void TabuSearch::flip(std::int32_t i) {
  const auto k = static_cast<std::size_t>(i);
  const double change = signs_[k];
  energy_ += fields_[k] * change;
  rows_.add(fields_.data(), i, change, kernel_);
  signs_[k] = -change;
  spins_[k / 64] ^= std::uint64_t{1} << (k % 64);
}

bool TabuSearch::keep(std::span<const std::uint64_t> spins, double energy) {
  for (const Elite& elite : pool_) {
    if (std::equal(spins.begin(), spins.end(), elite.spins.begin())) return false;
  }
  if (pool_.size() < kPool) {
    pool_.push_back({Spins(spins.begin(), spins.end()), energy});
    return true;
  }
  const auto worst =
      std::max_element(pool_.begin(), pool_.end(),
                       [](const Elite& a, const Elite& b) { return a.energy < b.energy; });
  if (!(energy < worst->energy)) return false;
  worst->spins.assign(spins.begin(), spins.end());
  worst->energy = energy;
  return true;
}

void TabuSearch::offer(std::span<const std::uint64_t> spins) {
  load(spins);
  keep(spins_, energy_);
}

TabuSearch::Spins TabuSearch::start(SplitMix64& random) {
  Spins out(spins_.size());
  const std::uint64_t last =
      size_ % 64 == 0 ? ~std::uint64_t{0} : (std::uint64_t{1} << (size_ % 64)) - 1;
  if (pool_.size() == kPool && in_vain_ >= kPatienceOfPool) {
    const auto best =
        std::min_element(pool_.begin(), pool_.end(),
                         [](const Elite& a, const Elite& b) { return a.energy < b.energy; });
    std::swap(*best, pool_.front());
    pool_.resize(1);
    in_vain_ = 0;
  }
  if (pool_.size() < kPool) {
    for (std::uint64_t& word : out) word = random.next();
  } else {
    const auto first = static_cast<std::size_t>(random.next() % kPool);
    const auto second = (first + 1 + static_cast<std::size_t>(random.next() % (kPool - 1))) % kPool;
    for (std::size_t w = 0; w < out.size(); ++w) {
      const std::uint64_t mask = random.next();
      out[w] = (pool_[first].spins[w] & mask) | (pool_[second].spins[w] & ~mask);
    }
  }
  out.back() &= last;
  return out;
}

std::int64_t TabuSearch::descend_and_search(SplitMix64& random, std::int64_t steps,
                                            const Halt& halt) {
  const std::int64_t tenure = std::min(20, size_ / 4);
  const std::uint64_t spread = 1 + static_cast<std::uint64_t>(std::min(10, size_ / 4));
  const std::int64_t patience = 10 * static_cast<std::int64_t>(size_) + 100;
  const auto blocks = static_cast<std::uint64_t>(rows_.padded() / cpu::kTabuBlock);
  std::fill_n(free_from_.data(), rows_.padded(), 0.0);
  best_.spins = spins_;
  best_.energy = energy_;
  std::int64_t in_vain = 0;
  std::int64_t step = 1;
  for (; step <= steps && in_vain < patience; ++step) {
    if (step % kStepsALook == 0 && halt.now()) break;
    const std::uint64_t number = random.next();
    cpu::TabuMoves moves;
    moves.fields = fields_.data();
    moves.signs = signs_.data();
    moves.free_from = free_from_.data();
    moves.count = rows_.padded();
    moves.step = static_cast<double>(step);
    moves.aspired = best_.energy - energy_;
    moves.from = static_cast<std::int32_t>((number >> 32) * blocks >> 32) * cpu::kTabuBlock;
    const std::int32_t chosen = kernel_.pick(moves);
    ++in_vain;
    if (chosen < 0) continue;
    flip(chosen);
    free_from_[static_cast<std::size_t>(chosen)] =
        static_cast<double>(step + 1 + tenure + static_cast<std::int64_t>(number % spread));
    if (energy_ < best_.energy) {
      best_.energy = energy_;
      best_.spins = spins_;
      in_vain = 0;
    }
  }
  return step - 1;
}

std::int64_t TabuSearch::run(std::uint64_t seed, std::int64_t steps, const Halt& halt,
                             std::span<std::uint64_t> spins) {
  SplitMix64 random(seed);
  load(start(random));
  std::int64_t done = 0;
  double least = std::numeric_limits<double>::infinity();
  while (true) {
    done += std::max<std::int64_t>(1, descend_and_search(random, steps - done, halt));
    in_vain_ = keep(best_.spins, best_.energy) ? 0 : in_vain_ + 1;
    if (best_.energy < least) {
      least = best_.energy;
      std::copy(best_.spins.begin(), best_.spins.end(), spins.begin());
    }
    if (done >= steps || halt.now()) return done;
    go_to(start(random));
  }
}

}  // namespace qama::hal
