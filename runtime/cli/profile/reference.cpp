#include "runtime/cli/profile/reference.h"

#include <utility>

#include "hal/search/best_known.h"

namespace qama::cli {
namespace {

/// A layer with more spins would take longer than everything else.
constexpr std::int64_t kMostReferenceSpins = 1024;

}  // namespace

Result<std::unique_ptr<Reference>> Reference::create(const weights::Architecture& a) {
  const hal::ProblemShape shape{a.heads, a.spins_per_head()};
  std::unique_ptr<Reference> out;
  if (!a.is_qama() || shape.spins() > kMostReferenceSpins) return out;
  out.reset(new Reference);
  QAMA_ASSIGN_OR_RETURN(out->device_, hal::open_device("cpu:"));
  auto gauge = hal::gauge_jobs(shape);
  if (gauge.ok()) {
    out->gauge_ = std::move(gauge).value();
  } else {
    out->why_not_ = gauge.error().message;
  }
  return out;
}

void Reference::problem(const runtime::LayerProblem& layer) {
  // A layer whose couplings were never built has no integers to solve here.
  if (!status_.ok() || layer.problem == nullptr || layer.problem->couplings == nullptr) return;
  auto best = hal::best_known(*device_, *layer.problem, layer.seed);
  if (!best.ok()) {
    status_ = std::move(best).error();
    return;
  }
  energies.push_back({layer.layer, best->energy});
  // A layer that cannot be rounded does not count.
  if (gauge_ != nullptr) static_cast<void>(gauge_->add(*layer.problem));
}

MachineJob Reference::job() const {
  return {gauge_ != nullptr ? gauge_->size() : std::nullopt, why_not_};
}

}  // namespace qama::cli
