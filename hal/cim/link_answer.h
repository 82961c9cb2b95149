// What becomes of a RESULT: its spins are checked on the host, and its time is split up.
#pragma once

#include <cstdint>
#include <span>

#include "hal/cim/link_job.h"
#include "hal/verify.h"

namespace qama::hal::cim {

/// Scratch for checking answers to problems up to a shape. One thread at a time.
class AnswerChecker {
 public:
  AnswerChecker() = default;
  [[nodiscard]] static Result<AnswerChecker> create(const ProblemShape& largest);
  /// Unpacks an answered job's spins ([heads][words_per_head]) and fills `result`.
  /// DEVICE_BAD_ANSWER if sizes, ancillas or the energy that the machine claims are wrong.
  Status check(const LinkJob& job, std::span<std::uint64_t> spins, SolveResult& result);

 private:
  Verifier verifier_;
  QuantisedEnergy quantised_energy_;
};

}  // namespace qama::hal::cim
