// Annealing by exchanges, which keep constraints: for problems in which groups of variables have a
// penalty that is least where exactly one of each is set. Groups are found in the problem: cliques
// of one weight, the largest. Two kinds are known.
//
//   one-hot   every variable is in one group, or in none: a colour of each vertex. An exchange sets
//             another variable of a group; a variable of no group is flipped.
//   a grid    every variable is in a row and a column: tours, assignments. An exchange swaps the
//             columns of two rows.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hal/base/random.h"
#include "hal/search/landscape.h"
#include "hal/search/tabu.h"

namespace qama::hal {

/// The groups of a problem.
struct Groups {
  std::int32_t side = 0;  ///< of a grid; 0: one-hot
  double weight = 0;      ///< of all pairs of a group
  /// A grid: [side][side], variables by row and column. One-hot: variables group by group.
  std::vector<std::int32_t> members;
  std::vector<std::int32_t> first;  ///< one-hot: [groups + 1], where a group begins in `members`
  std::vector<std::int32_t> loose;  ///< one-hot: variables of no group

  /// None where there are none, or where they hold less than half of the variables; throws
  /// std::bad_alloc.
  [[nodiscard]] static std::optional<Groups> of(const Landscape& landscape);
};

/// The search of one thread; `rows` and `groups` must outlive it.
class ExchangeSearch {
 public:
  ExchangeSearch(const TabuRows& rows, const Groups& groups);

  /// Anneals once, in turn from a random start, and from the best answer so far at lower
  /// temperatures: twice as long as the last time, but no longer than `halt` allows. Writes the
  /// answer to `spins`, as TabuSearch does, and returns the exchanges that were tried.
  std::int64_t run(std::uint64_t seed, const Halt& halt, std::span<std::uint64_t> spins);
  [[nodiscard]] std::int64_t flips() const noexcept { return flips_; }  ///< of the last run

 private:
  /// An exchange: what it costs, and the variables that it flips.
  struct Move {
    double cost = 0;
    std::int32_t flips[4] = {-1, -1, -1, -1};
    std::int32_t group[2] = {-1, -1};  ///< whose choice it changes
  };
  void start(SplitMix64& random);
  void start_from_best();
  [[nodiscard]] Move draw(SplitMix64& random) const;
  [[nodiscard]] Move swap_of(std::int32_t a, std::int32_t b) const;
  [[nodiscard]] Move choice_of(std::int32_t group, std::int32_t variable) const;
  [[nodiscard]] Move flip_of(std::int32_t variable) const;
  void apply(const Move& move);
  void flip(std::int32_t i);
  void descend(const Halt& halt);
  [[nodiscard]] bool is_set(std::int32_t i) const {
    return ((spins_[static_cast<std::size_t>(i / 64)] >> (i % 64)) & 1U) != 0;
  }

  const TabuRows& rows_;
  const Groups& groups_;
  const cpu::TabuKernel& kernel_ = cpu::best_tabu_kernel();
  AlignedBuffer<double> fields_;
  std::vector<std::uint64_t> spins_;
  std::vector<std::int32_t> chosen_;  ///< of a grid: a row's column; else a group's variable
  double energy_ = 0;
  std::vector<std::uint64_t> best_spins_;  ///< of all runs
  std::vector<std::int32_t> best_chosen_;
  double best_energy_ = 0;
  std::int64_t runs_ = 0;
  std::vector<std::int32_t> group_of_;  ///< one-hot: a variable's group, -1 for none
  std::int64_t length_;                 ///< exchanges of the next run
  std::int64_t flips_ = 0;
  double second_ = 0;  ///< exchanges a second, of the last run
};

}  // namespace qama::hal
