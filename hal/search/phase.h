// The phases of a search with a time limit, and which of them a thread's next part belongs to. To
// add a phase: a file phase_NAME.cpp with its maker, the maker's declaration here, its line in
// portfolio.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "hal/schedule.h"

namespace qama::hal {

/// What a phase knows when it plans a part.
struct Turn {
  double sweeps_left = 0;  ///< sweeps of a part that fit into the time left
  std::uint64_t seed = 0;  ///< of the part
  bool alone = false;      ///< there is no other phase
};

/// What solves a part.
enum class PartKind : std::uint8_t {
  restarts,   ///< the annealer, from new spins
  copies,     ///< the annealer, from the best answer so far (SolveOptions::from)
  tabu,       ///< tabu search (tabu.h); the schedule does not count
  exchanges,  ///< exchanges within groups (exchange.h); the schedule does not count
};

/// What a phase hears of a part that has ended.
struct Outcome {
  bool gained = false;  ///< it is better than the best answer before it
  double cost = 0;      ///< its answer's value, the less the better
};

class Phase {
 public:
  virtual ~Phase() = default;
  /// Changes the schedule of the part that comes next.
  virtual void plan(const Turn& turn, Schedule& schedule) = 0;
  [[nodiscard]] virtual PartKind kind() const noexcept = 0;
  /// A part has ended. Whether it counts as spent in vain.
  virtual bool learn(const Outcome& outcome) = 0;
};

/// Restarts from new spins: first of `sweeps`, then of twice as many, and so on. With
/// `fits_end`, and where there is time, some short parts find out whether a colder end is better.
[[nodiscard]] std::unique_ptr<Phase> make_restarts_phase(std::int32_t sweeps, bool fits_end);
/// Copies of the best answer, heated and recombined (hal/cpu/sparse/recombine.h).
[[nodiscard]] std::unique_ptr<Phase> make_reheat_phase();
/// Flips of one variable, from a pool of good answers.
[[nodiscard]] std::unique_ptr<Phase> make_tabu_phase();
/// Exchanges that keep one-hot groups, from new spins.
[[nodiscard]] std::unique_ptr<Phase> make_exchange_phase();

/// What a part's answer is against the best one so far.
enum class Standing : std::uint8_t { worse, level, better };

/// The phases of one thread. Each gets the same time, but for time in which it gained something
/// and may gain more: that is not counted. A phase that has not found the best answer, while
/// another one has, gets an eighth.
class Portfolio {
 public:
  /// Restarts as of make_restarts_phase(), and what else is given.
  Portfolio(std::int32_t sweeps, bool fits_end, std::span<const PartKind> others);
  /// The phase of the next part. Before there is an answer it is the one that needs none.
  [[nodiscard]] Phase& next(bool any_answer);
  /// Ends the part of the phase that next() returned last. `cost`: see Outcome.
  void ended(Standing standing, double cost, double busy_us);
  [[nodiscard]] bool alone() const noexcept { return entries_.size() == 1; }

 private:
  struct Entry {
    std::unique_ptr<Phase> phase;
    double in_vain_us = 0;
    bool leads = false;  ///< has found the best answer
  };
  std::vector<Entry> entries_;
  std::size_t current_ = 0;
};

}  // namespace qama::hal
