// LinearStep: a step that runs an ops::Linear. The session binds it to each lane's memory.
#pragma once

#include <cstddef>
#include <memory>

#include "ops/linear.h"
#include "runtime/engine/step.h"

namespace qama::runtime {

class LinearStep final : public Step {
 public:
  LinearStep(StepInfo step_info, std::shared_ptr<const ops::Linear> op, std::size_t slot,
             Region<float> from, Region<float> to, Region<std::byte> scratch)
      : Step(std::move(step_info)),
        op_(std::move(op)),
        slot_(slot),
        from_(from),
        to_(to),
        scratch_(scratch) {}

  Status run(SampleRun& run) const override;
  /// Makes the lane's calls, one a number of rows.
  Status bind(Lane& lane) const;

 private:
  std::shared_ptr<const ops::Linear> op_;  // blocks that share their tensors share it
  std::size_t slot_;
  Region<float> from_, to_;
  Region<std::byte> scratch_;
};

}  // namespace qama::runtime
