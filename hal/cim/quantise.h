// From a DenseView's 16-bit integers to a QuantisedView. With s = (1 + sigma) / 2, sigma in {-1,
// +1}:
//
//   4 E(s) = C - sum_t sum_{i<j} W_tij sigma_ti sigma_tj - sum_ti F_ti sigma_ti
//              + P sum_i sum_{t<u} sigma_ti sigma_ui
//   F_ti = 2 b_ti + sum_j W_tij - (H-1) P
//   C    = - sum_t sum_{i<j} W_tij - 2 sum_ti b_ti + P N H (H-1) / 2
//
// One scale maps W, P and F / k into -127 .. 127. With one ancilla the fields decide it and little
// is left for W; with k ancillas the couplings do.
#pragma once

#include <cstdint>

#include "hal/base/aligned.h"
#include "hal/cim/quantised_view.h"
#include "hal/cim_limits.h"
#include "hal/problem.h"

namespace qama::hal::cim {

struct QuantiseOptions {
  std::int32_t max_spins = kCimSpins;  ///< of the machine, ancillas included
  /// 0: as many as make the fields fit beside the couplings, within max_spins.
  std::int32_t ancillas = 0;
  double scale = 0;  ///< 8-bit steps a unit of 4E; 0: the largest that fits, whole if above 1
  bool allow_clipping = false;  ///< a value that does not fit is cut instead of refused
};

/// What rounding to 8 bits cost. Errors are in steps of the 8-bit range, before clipping.
struct QuantiseReport {
  double scale = 0;
  bool exact = false;  ///< nothing was rounded: the scale is a whole number
  std::int32_t ancillas = 0;
  double max_error = 0;           ///< of the couplings and fields
  double mean_error = 0;          ///< mean absolute, couplings only
  double coupling_deviation = 0;  ///< standard deviation of the rounded couplings, in steps
  double zeroed_share = 0;        ///< share of the couplings unequal 0 that became 0
  std::int64_t clipped = 0;
};

/// Quantises problems up to a shape into memory of its own; run() does not allocate unless it
/// fails. One thread at a time.
class Quantiser {
 public:
  Quantiser() = default;
  /// PROBLEM_TOO_LARGE if the shape's spins and one ancilla exceed options.max_spins;
  /// INVALID_ARGUMENT for options out of range.
  [[nodiscard]] static Result<Quantiser> create(const ProblemShape& largest,
                                                const QuantiseOptions& options);

  /// PROBLEM_TOO_LARGE; PROBLEM_BAD_VALUE where a given scale would clip and that was not asked
  /// for. `report` may be null: its statistics take longer than the quantising.
  Status run(const DenseView& problem, QuantiseReport* report = nullptr);

  /// The last run's problem and scale; valid until the next run.
  [[nodiscard]] const QuantisedView& view() const noexcept { return view_; }
  [[nodiscard]] double scale() const noexcept { return scale_; }

 private:
  /// The largest absolute values, which decide ancillas and scale.
  struct Range {
    std::int32_t coupling = 0, field = 0;
  };
  Range to_signs(const DenseView& problem);
  [[nodiscard]] std::int32_t ancillas_for(const Range& range, const ProblemShape& shape) const;
  [[nodiscard]] Result<double> scale_for(const Range& range, std::int32_t ancillas) const;
  void round_couplings(const DenseView& problem, bool clips);
  void round_fields(const DenseView& problem, std::int32_t ancillas);
  [[nodiscard]] QuantiseReport report_on(const DenseView& problem) const;

  ProblemShape largest_;
  QuantiseOptions options_;
  AlignedBuffer<std::int8_t> couplings_;     // J
  AlignedBuffer<std::int16_t> fields_;       // F, rounded
  AlignedBuffer<std::int32_t> wide_fields_;  // F of the +-1 problem, before rounding
  QuantisedView view_;
  double scale_ = 0;
};

}  // namespace qama::hal::cim
