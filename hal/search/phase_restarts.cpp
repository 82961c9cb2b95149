#include <algorithm>

#include "hal/search/phase.h"

namespace qama::hal {
namespace {

/// The fewest sweeps of a part that ends a search.
constexpr double kFewestSweeps = 16;

/// A short search finds what is easy and a long one what is hard, so lengths double.
class Restarts final : public Phase {
 public:
  explicit Restarts(std::int32_t sweeps) : sweeps_(sweeps) {}

  void plan(const Turn& turn, Schedule& schedule) override {
    double sweeps = sweeps_;
    if (!first_) {
      // Where the next part would no longer fit, this one takes all the time.
      const bool last = turn.alone && turn.sweeps_left < 2 * sweeps;
      sweeps = last ? turn.sweeps_left : std::min(sweeps, turn.sweeps_left);
    }
    schedule.sweeps =
        static_cast<std::int32_t>(std::clamp(sweeps, std::min(kFewestSweeps, sweeps_), kMost));
  }
  [[nodiscard]] PartKind kind() const noexcept override { return PartKind::restarts; }
  // One that gained does not say that the next one will.
  bool learn(bool /*gained*/) override {
    first_ = false;
    sweeps_ = std::min(2 * sweeps_, kMost);
    return true;
  }

 private:
  static constexpr double kMost = kMaxSweeps;
  double sweeps_;
  bool first_ = true;  ///< it has been fitted to the limit
};

}  // namespace

std::unique_ptr<Phase> make_restarts_phase(std::int32_t sweeps) {
  return std::make_unique<Restarts>(sweeps);
}

}  // namespace qama::hal
