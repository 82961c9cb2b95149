// LinearStep: a step that runs an ops::Linear. The session binds it to each lane's memory. The rows
// of a large layer are shared out among the sample's threads.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "ops/linear.h"
#include "runtime/engine/step.h"

namespace qama::runtime {

class LinearStep final : public Step {
 public:
  /// `rows`: numbers of rows that run; the operator has the size of each share of them
  /// (LinearStep::sizes). Share number i uses the scratch memory from i * scratch_stride on.
  LinearStep(StepInfo step_info, std::shared_ptr<const ops::Linear> op, std::size_t slot,
             std::vector<std::int64_t> rows, Region<float> from, Region<float> to,
             Region<std::byte> scratch, std::size_t scratch_stride)
      : Step(std::move(step_info)),
        op_(std::move(op)),
        slot_(slot),
        rows_(std::move(rows)),
        from_(from),
        to_(to),
        scratch_(scratch),
        scratch_stride_(scratch_stride) {}

  Status run(SampleRun& run) const override;
  /// Makes the lane's calls, one a number of rows and share.
  Status bind(Lane& lane) const;

  /// Shares that a layer's rows have.
  [[nodiscard]] static std::int32_t shares(std::int64_t rows, std::int64_t in,
                                           std::int64_t out) noexcept {
    return shares_of(rows, rows * in * out);
  }
  /// What an operator must run: the sizes of all shares of `rows`, rising.
  [[nodiscard]] static std::vector<std::int64_t> sizes(const std::vector<std::int64_t>& rows,
                                                       std::int64_t in, std::int64_t out);

 private:
  std::shared_ptr<const ops::Linear> op_;  // blocks that share their tensors share it
  std::size_t slot_;
  std::vector<std::int64_t> rows_;
  Region<float> from_, to_;
  Region<std::byte> scratch_;
  std::size_t scratch_stride_;
};

}  // namespace qama::runtime
