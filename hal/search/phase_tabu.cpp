#include "hal/search/phase.h"

namespace qama::hal {
namespace {

/// The search itself decides how long its runs are and where they start.
class Tabu final : public Phase {
 public:
  void plan(const Turn& /*turn*/, Schedule& schedule) override { schedule.sweeps = 0; }
  [[nodiscard]] PartKind kind() const noexcept override { return PartKind::tabu; }
  bool learn(const Outcome& outcome) override { return !outcome.gained; }
};

}  // namespace

std::unique_ptr<Phase> make_tabu_phase() {
  return std::make_unique<Tabu>();
}

}  // namespace qama::hal
