#include "runtime/cli/profile/reference.h"

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
  QAMA_ASSIGN_OR_RETURN(out->solver_, out->device_->compile(shape));
  out->options_.schedule.sweeps = kReferenceSweeps;
  out->options_.schedule.restarts = kReferenceRestarts;
  out->options_.schedule.t_start = a.attention.anneal.t_start;
  out->options_.schedule.t_end = a.attention.anneal.t_end;
  out->spins_.resize(static_cast<std::size_t>(a.heads) *
                     static_cast<std::size_t>(hal::words_per_head(a.spins_per_head())));
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
  hal::SolveOptions options = options_;
  options.seed = layer.seed + 1;
  hal::SolveResult result;
  status_ = solver_->solve(*layer.problem, options, spins_, result);
  if (!status_.ok()) return;
  energies.push_back({layer.layer, result.energy});
  // A layer that cannot be rounded does not count.
  if (gauge_ != nullptr) static_cast<void>(gauge_->add(*layer.problem));
}

MachineJob Reference::job() const {
  return {gauge_ != nullptr ? gauge_->size() : std::nullopt, why_not_};
}

}  // namespace qama::cli
