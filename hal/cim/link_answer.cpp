#include "hal/cim/link_answer.h"

#include <algorithm>

#include "hal/base/sentence.h"

namespace qama::hal::cim {
namespace {

double us_of(std::uint64_t ns) noexcept {
  return static_cast<double>(ns) * 1e-3;
}

/// Wall time of the last attempt that the machine accounts for; the rest of the round trip is the
/// network's.
std::uint64_t machine_ns(const JobResult& answer) noexcept {
  const std::uint64_t device = answer.program_ns + answer.anneal_ns + answer.readout_ns;
  if (answer.paced) return answer.queue_ns + std::max(answer.compute_ns, device);
  return answer.queue_ns + (answer.emulated ? answer.compute_ns : device);
}

SolveTiming timing_of(const LinkJob& job, TimePoint checking, TimePoint checked) noexcept {
  const JobResult& answer = job.answer();
  SolveTiming out = job.timing();
  out.queue_us = us_of(answer.queue_ns);
  out.program_us = us_of(answer.program_ns);
  out.anneal_us = us_of(answer.anneal_ns);
  out.readout_us = us_of(answer.readout_ns);
  out.modelled = answer.emulated;
  out.verify_us = us_between(checking, checked);
  out.network_us = std::max(job.round_trip_us() - us_of(machine_ns(answer)), 0.0);
  out.total_us = us_between(job.started_at(), checked);
  return out;
}

}  // namespace

Result<AnswerChecker> AnswerChecker::create(const ProblemShape& largest) {
  AnswerChecker out;
  QAMA_ASSIGN_OR_RETURN(out.verifier_, Verifier::create(largest));
  out.quantised_energy_ = QuantisedEnergy(largest);
  return out;
}

Status AnswerChecker::check(const LinkJob& job, std::span<std::uint64_t> spins,
                            SolveResult& result) {
  const TimePoint start = LinkClock::now();
  const QuantisedView& view = job.quantised();
  const JobResult& answer = job.answer();
  if (answer.spins != view.spins()) {
    return make_error(ErrorCode::device_bad_answer, "an answer of ", answer.spins,
                      " spins, expected ", view.spins());
  }
  QAMA_RETURN_IF_ERROR(unpack_spins(view, answer.packed, spins));
  const std::int64_t ties =
      static_cast<std::int64_t>(view.tie) * view.ancillas * (view.ancillas - 1) / 2;
  const std::int64_t exact = quantised_energy_(view, spins) - ties;
  if (exact != answer.energy) {
    return make_error(ErrorCode::device_bad_answer, "the answer's energy is ", exact,
                      ", the machine claims ", answer.energy);
  }
  result = SolveResult{};
  QAMA_RETURN_IF_ERROR(verifier_.check_and_price(job.problem(), spins, result.energy));
  result.solved_by = answer.emulated ? "cim:emulated" : "cim";
  result.restarts = static_cast<std::int32_t>(answer.reads);
  result.timing = timing_of(job, start, LinkClock::now());
  return {};
}

}  // namespace qama::hal::cim
