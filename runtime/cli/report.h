// Figures that several commands report: probabilities, percentiles, who solved, a device's
// description.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "hal/device.h"
#include "runtime/cli/console.h"
#include "runtime/engine/session.h"

namespace qama::cli {

/// Softmax of the logits, in double. INTERNAL if a logit is not a finite number.
[[nodiscard]] Result<std::vector<double>> probabilities(std::span<const float> logits);

/// Index of the largest value; the first of equals.
[[nodiscard]] std::int32_t argmax(std::span<const float> values);

/// Nearest-rank percentile (0 < p <= 100) of sorted values; 0 if there are none.
[[nodiscard]] double percentile(std::span<const double> sorted, double p);

/// Counts of solves by who did them ("cpu:avx512": 20000) and of fall-backs by reason.
class SolveCounter {
 public:
  /// Adds the solves of the session's last run's sample.
  void add(const runtime::Session& session, std::int32_t sample);
  [[nodiscard]] Json solved_by() const { return solved_by_; }
  [[nodiscard]] Json fallbacks() const { return fallbacks_; }
  /// "cpu:avx512", or "cim 19998, cpu:avx512 2"; "" where nothing was solved.
  [[nodiscard]] std::string text() const;

 private:
  std::map<std::string, std::int64_t> solved_by_;
  std::map<std::string, std::int64_t> fallbacks_;
};

/// "8 sweeps, 8 restarts" and rounds, if any; several schedules as "block 0: ..., block 1: ...".
[[nodiscard]] std::string schedules_text(std::span<const hal::Schedule> layers);
/// One object a layer, with the keys of the model file's schedule.
[[nodiscard]] Json schedules_json(std::span<const hal::Schedule> layers);

/// UNSUPPORTED if a step fell to a reference implementation (runtime::is_reference): `--strict`.
[[nodiscard]] Status refuse_references(std::span<const runtime::StepInfo> steps);

/// The fields of a device that cli.md names, from its description and, if it was probed, its
/// health.
[[nodiscard]] Json device_json(const hal::DeviceInfo& info, const hal::DeviceHealth* health);

}  // namespace qama::cli
