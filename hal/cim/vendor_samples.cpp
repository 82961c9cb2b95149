#include "hal/cim/vendor_samples.h"

#include <algorithm>

namespace qama::hal::cim {

Result<SamplePicker> SamplePicker::create(const ProblemShape& largest) {
  SamplePicker out;
  QAMA_ASSIGN_OR_RETURN(out.verifier_, Verifier::create(largest));
  out.candidate_.resize(static_cast<std::size_t>(largest.heads * words_per_head(largest.tokens)));
  return out;
}

Status SamplePicker::take_best(const QuantisedView& view, const DenseView& problem,
                               const Samples& samples, const std::function<Status()>& may_go_on,
                               std::span<std::uint64_t> spins, SolveResult& result) {
  const auto words = static_cast<std::size_t>(view.shape.heads * words_per_head(view.shape.tokens));
  if (spins.size() < words) return Error{ErrorCode::invalid_argument, "no room for the spins"};
  bool found = false;
  Status last = samples.damage;
  if (samples.count == 0) return Error{ErrorCode::device_bad_answer, "an answer without samples"};
  result = SolveResult{};
  for (std::size_t at = 0; at < samples.good; ++at) {
    QAMA_RETURN_IF_ERROR(may_go_on());
    std::int64_t energy = 0;
    Status checked = unpack_spins(view, samples.sample(at), candidate_);
    if (checked.ok()) checked = verifier_.check_and_price(problem, candidate_, energy);
    if (!checked.ok()) {
      last = std::move(checked);
      continue;
    }
    if (found && energy >= result.energy) continue;
    found = true;
    result.energy = energy;
    std::copy_n(candidate_.begin(), words, spins.begin());
  }
  static_assert(kMaxSamples <= 1U << 20);
  result.restarts = static_cast<std::int32_t>(samples.count);
  return found ? Status() : last;
}

}  // namespace qama::hal::cim
