#include <algorithm>

#include "hal/search/phase.h"

namespace qama::hal {
namespace {

/// The fewest sweeps of a part that ends a search.
constexpr double kFewestSweeps = 16;
/// Ends of the temperatures that are tried: this much colder each, so often at most.
constexpr double kColder = 1.0 / 3.0;
constexpr int kMostTrials = 3;
/// Parts with either end. Their answers scatter: the colder end's mean has to be better by one
/// standard deviation, which happens by chance one time in twenty.
constexpr int kPartsATrial = 6;
/// Parts with either end after which a colder end's mean that is worse ends a trial.
constexpr int kFewestParts = 2;
/// A trial takes this share of the time left at most, with so many sweeps a part at least.
constexpr double kShareOfTrial = 0.1;
constexpr double kFewestTrialSweeps = 64;

/// A short search finds what is easy and a long one what is hard, so lengths double.
///
/// Temperatures are in row norms. Where penalties make the norms, the end is hot for all else, and
/// colder ends are tried first: by parts in turn with the end so far and with the colder one.
class Restarts final : public Phase {
 public:
  Restarts(std::int32_t sweeps, bool fits_end)
      : sweeps_(sweeps), trials_(fits_end ? 0 : kMostTrials) {}

  void plan(const Turn& turn, Schedule& schedule) override {
    double sweeps = sweeps_;
    if (!first_) {
      if (parts_ == 0 && trials_ < kMostTrials) begin_trial(turn);
      if (trials_ < kMostTrials) {
        sweeps = trial_sweeps_;
      } else {
        // Where the next part would no longer fit, this one takes all the time.
        const bool last = turn.alone && turn.sweeps_left < 2 * sweeps;
        sweeps = last ? turn.sweeps_left : std::min(sweeps, turn.sweeps_left);
      }
    }
    schedule.sweeps =
        static_cast<std::int32_t>(std::clamp(sweeps, std::min(kFewestSweeps, sweeps_), kMost));
    schedule.t_end *= tries_colder() ? end_ * kColder : end_;
  }
  [[nodiscard]] PartKind kind() const noexcept override { return PartKind::restarts; }
  // One that gained does not say that the next one will.
  bool learn(const Outcome& outcome) override {
    if (first_) {
      first_ = false;
    } else if (trials_ < kMostTrials) {
      hear(outcome.cost);
      return true;
    }
    sweeps_ = std::min(2 * sweeps_, kMost);
    return true;
  }

 private:
  static constexpr double kMost = kMaxSweeps;

  void begin_trial(const Turn& turn) {
    trial_sweeps_ = std::min(sweeps_, kShareOfTrial * turn.sweeps_left / (2 * kPartsATrial));
    if (trial_sweeps_ < kFewestTrialSweeps) trials_ = kMostTrials;
    of_end_ = of_colder_ = {};
  }
  [[nodiscard]] bool tries_colder() const { return trials_ < kMostTrials && parts_ % 2 == 1; }
  void hear(double cost) {
    (tries_colder() ? of_colder_ : of_end_).add(cost);
    ++parts_;
    const double better = of_end_.mean - of_colder_.mean;
    const bool all = parts_ == 2 * kPartsATrial;
    if (all && better > 0 && better * better >= (of_end_.variance() + of_colder_.variance()) / 2) {
      parts_ = 0;
      ++trials_;
      end_ *= kColder;
    } else if (all || (parts_ == 2 * kFewestParts && better <= 0)) {
      trials_ = kMostTrials;
    }
  }

  /// Mean and variance of costs, by Welford's sums.
  struct Costs {
    int count = 0;
    double mean = 0, squares = 0;
    void add(double cost) {
      const double before = cost - mean;
      mean += before / ++count;
      squares += before * (cost - mean);
    }
    [[nodiscard]] double variance() const { return squares / (count - 1); }
  };

  double sweeps_;
  bool first_ = true;  ///< it has been fitted to the limit
  int trials_;         ///< trials that were won; kMostTrials: no more follow
  int parts_ = 0;      ///< of this trial that have ended
  double trial_sweeps_ = 0;
  Costs of_end_, of_colder_;  ///< answers of this trial
  double end_ = 1;            ///< the last temperature as a part of the schedule's
};

}  // namespace

std::unique_ptr<Phase> make_restarts_phase(std::int32_t sweeps, bool fits_end) {
  return std::make_unique<Restarts>(sweeps, fits_end);
}

}  // namespace qama::hal
