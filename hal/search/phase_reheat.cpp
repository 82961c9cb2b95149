#include <algorithm>
#include <cmath>

#include "hal/base/random.h"
#include "hal/search/phase.h"

namespace qama::hal {
namespace {

constexpr double kFewestSweeps = 64;
constexpr double kMostSweeps = 1024;

/// Heated to a random temperature: how hot is best depends on the graph and on how good the answer
/// is already. As long as a length gains it stays; else the next part has twice the sweeps, and the
/// shortest follows the longest.
class Reheat final : public Phase {
 public:
  void plan(const Turn& turn, Schedule& schedule) override {
    schedule.sweeps = static_cast<std::int32_t>(std::clamp(turn.sweeps_left, 1.0, sweeps_));
    // From the geometric mean of both temperatures to the first.
    const double unit = unit_interval(counter_random(turn.seed, 0));
    schedule.t_start *= std::exp(unit / 2 * std::log(schedule.t_end / schedule.t_start));
  }
  [[nodiscard]] PartKind kind() const noexcept override { return PartKind::copies; }
  bool learn(const Outcome& outcome) override {
    if (!outcome.gained) sweeps_ = sweeps_ < kMostSweeps ? 2 * sweeps_ : kFewestSweeps;
    return !outcome.gained;
  }

 private:
  double sweeps_ = kFewestSweeps;
};

}  // namespace

std::unique_ptr<Phase> make_reheat_phase() {
  return std::make_unique<Reheat>();
}

}  // namespace qama::hal
