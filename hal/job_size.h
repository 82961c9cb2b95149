// What a layer becomes on the link to a machine that takes 8-bit couplings. Nobody needs a machine
// to ask: the answer comes from the encodings (implemented in hal/cim/job_size.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "hal/base/result.h"
#include "hal/problem.h"

namespace qama::hal {

/// Sizes of a typical job, and what rounding to 8 bits does to its couplings.
struct JobSize {
  std::int32_t spins = 0;
  std::int32_t ancillas = 0;      ///< median over the layers: extra spins that carry the fields
  std::size_t block_request = 0;  ///< bytes of a request with a block of couplings a head
  std::size_t dense_request = 0;  ///< bytes of a request with one matrix of all spins
  std::size_t reply = 0;          ///< bytes of the answer
  double zeroed_share = 0;        ///< mean share of the couplings that become 0
  double mean_error = 0;          ///< mean rounding error of a coupling, in 8-bit steps
  double coupling_deviation = 0;  ///< mean standard deviation of the couplings, in 8-bit steps
};

/// Rounds layers of one shape and keeps their sizes. One thread at a time.
class JobGauge {
 public:
  virtual ~JobGauge() = default;
  /// Counts a layer. PROBLEM_* if it cannot be rounded: it does not count then.
  virtual Status add(const DenseView& problem) = 0;
  /// Empty before the first layer.
  [[nodiscard]] virtual std::optional<JobSize> size() const = 0;
};

/// PROBLEM_TOO_LARGE if a machine does not hold layers of this shape.
[[nodiscard]] Result<std::unique_ptr<JobGauge>> gauge_jobs(const ProblemShape& shape);

}  // namespace qama::hal
