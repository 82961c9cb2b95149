// One-flip tabu search (Glover) in double, with a pool of elite answers. It is what penalty
// problems need: a cardinality, a tour, a budget. There the penalty is most of a row, so that a
// temperature at which the objective counts breaks no constraint any more, and 16 bits round the
// objective away.
//
// A run does the cheapest flip that is not forbidden, also uphill, and forbids its way back for a
// while; a flip to a new best answer is always allowed. The pool holds the best answers of runs. A
// run starts at random until the pool is full, then from a mixture of two of its answers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/base/random.h"
#include "hal/cpu/tabu/tabu.h"
#include "hal/search/landscape.h"

namespace qama::hal {

/// A weight of a landscape, in double: as in the file.
[[nodiscard]] double weight_of(const Landscape& landscape, const Landscape::Term& term);

/// A landscape's couplings in double: full rows where most variables are coupled, else neighbours.
/// Immutable; threads may share one.
class TabuRows {
 public:
  /// Throws std::bad_alloc.
  explicit TabuRows(const Landscape& landscape);

  [[nodiscard]] std::int32_t size() const noexcept { return size_; }
  /// Elements of an array of cpu::TabuMoves.
  [[nodiscard]] std::int32_t padded() const noexcept { return padded_; }
  /// [padded()] what setting a variable costs where no other is set.
  [[nodiscard]] std::span<const double> linear() const noexcept { return linear_.span(); }
  /// The coupling of two variables; 0 if there is none.
  [[nodiscard]] double weight(std::int32_t i, std::int32_t j) const;
  /// Adds to `fields` that variable i is set (change 1) or no longer set (-1).
  void add(double* fields, std::int32_t i, double change, const cpu::TabuKernel& kernel) const {
    const auto k = static_cast<std::size_t>(i);
    if (!full_.empty()) {
      kernel.add_row(fields, full_.data() + k * static_cast<std::size_t>(padded_), change, padded_);
      return;
    }
    for (std::int64_t at = first_[k]; at < first_[k + 1]; ++at) {
      const Entry& entry = entries_[static_cast<std::size_t>(at)];
      fields[entry.other] += change * entry.weight;
    }
  }

 private:
  struct Entry {
    double weight = 0;
    std::int32_t other = 0;
  };
  std::int32_t size_ = 0;
  std::int32_t padded_ = 0;
  AlignedBuffer<double> linear_;
  AlignedBuffer<double> full_;  ///< [size][padded]; empty: `entries_` instead
  std::vector<std::int64_t> first_;
  std::vector<Entry> entries_;  ///< rows in order of `other`
};

/// The search of one thread; `rows` must outlive it.
class TabuSearch {
 public:
  explicit TabuSearch(const TabuRows& rows,
                      const cpu::TabuKernel& kernel = cpu::best_tabu_kernel());

  /// Takes an answer that somebody else found into the pool, if it is good enough.
  void offer(std::span<const std::uint64_t> spins);
  /// Runs of about `steps` flips in all. Writes the best answer of them to `spins` (bit i % 64 of
  /// word i / 64 is variable i) and returns the flips. The same calls give the same answers.
  std::int64_t run(std::uint64_t seed, std::int64_t steps, const Halt& halt,
                   std::span<std::uint64_t> spins);
  /// Flips that a part of a search should have at least: two runs that find nothing.
  [[nodiscard]] std::int64_t steps_of_a_part() const noexcept;

 private:
  using Spins = std::vector<std::uint64_t>;
  struct Elite {
    Spins spins;
    double energy = 0;
  };

  void load(std::span<const std::uint64_t> spins);
  void go_to(std::span<const std::uint64_t> spins);
  void flip(std::int32_t i);
  [[nodiscard]] Spins start(SplitMix64& random);
  std::int64_t descend_and_search(SplitMix64& random, std::int64_t steps, const Halt& halt);
  bool keep(std::span<const std::uint64_t> spins, double energy);

  const TabuRows& rows_;
  const cpu::TabuKernel& kernel_;
  const std::int32_t size_;
  AlignedBuffer<double> fields_, signs_, free_from_;
  Spins spins_;
  double energy_ = 0;
  Elite best_;                ///< of the run under way
  std::vector<Elite> pool_;   ///< at most kPool
  std::int32_t in_vain_ = 0;  ///< runs since the pool last changed
};

}  // namespace qama::hal
