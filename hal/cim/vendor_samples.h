// Which of a machine's samples is the answer.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "hal/cim/quantised_view.h"
#include "hal/cim/vendor_reply.h"
#include "hal/problem.h"
#include "hal/verify.h"

namespace qama::hal::cim {

/// Its scratch is for problems up to a shape. One thread at a time.
class SamplePicker {
 public:
  SamplePicker() = default;
  /// PROBLEM_TOO_LARGE.
  [[nodiscard]] static Result<SamplePicker> create(const ProblemShape& largest);

  /// The sample of the lowest energy in the true problem, whose quantised form is `view`. Damaged
  /// ones are passed over. If none is left: the error of the last one whose ancillas or energy were
  /// wrong, else of the first that could not be read. `may_go_on` is asked before each; its error
  /// ends the search.
  Status take_best(const QuantisedView& view, const DenseView& problem, const Samples& samples,
                   const std::function<Status()>& may_go_on, std::span<std::uint64_t> spins,
                   SolveResult& result);

 private:
  Verifier verifier_;
  std::vector<std::uint64_t> candidate_;  // spins of the sample at hand
};

}  // namespace qama::hal::cim
