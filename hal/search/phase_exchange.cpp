#include "hal/search/phase.h"

namespace qama::hal {
namespace {

/// The search itself decides how long its runs are.
class Exchange final : public Phase {
 public:
  void plan(const Turn& /*turn*/, Schedule& schedule) override { schedule.sweeps = 0; }
  [[nodiscard]] PartKind kind() const noexcept override { return PartKind::exchanges; }
  // One that gained does not say that the next one will.
  bool learn(const Outcome& /*outcome*/) override { return true; }
};

}  // namespace

std::unique_ptr<Phase> make_exchange_phase() {
  return std::make_unique<Exchange>();
}

}  // namespace qama::hal
