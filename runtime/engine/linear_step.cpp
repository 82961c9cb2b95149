#include "runtime/engine/linear_step.h"

namespace qama::runtime {

Status LinearStep::bind(Lane& lane) const {
  std::vector<ops::LinearCall>& calls = lane.linears[slot_];
  for (std::size_t variant = 0; variant < op_->spec().rows.size(); ++variant) {
    QAMA_ASSIGN_OR_RETURN(auto call,
                          op_->bind(variant, from_.in(lane), to_.in(lane), scratch_.in(lane)));
    calls.push_back(std::move(call));
  }
  return {};
}

Status LinearStep::run(SampleRun& run) const {
  // A layer that is not token-wise, the classifier, has one variant only.
  const std::vector<ops::LinearCall>& calls = run.lane->linears[slot_];
  const std::size_t variant = calls.size() == 1 ? 0 : run.variant;
  if (calls[variant].run()) return {};
  return Error{ErrorCode::internal, "step '" + info.name + "': oneDNN refused to run"};
}

}  // namespace qama::runtime
