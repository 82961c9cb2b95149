#include "runtime/engine/linear_step.h"

#include <algorithm>
#include <atomic>

namespace qama::runtime {

std::vector<std::int64_t> LinearStep::sizes(const std::vector<std::int64_t>& rows, std::int64_t in,
                                            std::int64_t out) {
  std::vector<std::int64_t> found;
  for (const std::int64_t n : rows) {
    const std::int32_t count = shares(n, in, out);
    for (std::int32_t share = 0; share < count; ++share) {
      found.push_back(row_share(n, count, share).count);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

Status LinearStep::bind(Lane& lane) const {
  const ops::LinearSpec& spec = op_->spec();
  std::vector<std::vector<ops::LinearCall>>& calls = lane.linears[slot_];
  for (const std::int64_t n : rows_) {
    const std::int32_t count = shares(n, spec.in, spec.out);
    std::vector<ops::LinearCall>& own = calls.emplace_back();
    for (std::int32_t share = 0; share < count; ++share) {
      const RowShare part = row_share(n, count, share);
      const auto size = std::lower_bound(spec.rows.begin(), spec.rows.end(), part.count);
      QAMA_ASSIGN_OR_RETURN(
          auto call,
          op_->bind(static_cast<std::size_t>(size - spec.rows.begin()),
                    from_.in(lane) + part.first * spec.in, to_.in(lane) + part.first * spec.out,
                    scratch_.in(lane) + static_cast<std::size_t>(share) * scratch_stride_));
      own.push_back(std::move(call));
    }
  }
  return {};
}

Status LinearStep::run(SampleRun& run) const {
  // A layer that is not token-wise, the classifier, has one variant only.
  const auto& calls = run.lane->linears[slot_];
  const auto& shares = calls[calls.size() == 1 ? 0 : run.variant];
  std::atomic<bool> refused{false};
  share_out(run, static_cast<std::int32_t>(shares.size()),
            [&shares, &refused](std::int32_t share, std::int32_t /*thread*/) {
              if (!shares[static_cast<std::size_t>(share)].run()) refused = true;
            });
  if (!refused) return {};
  return Error{ErrorCode::internal, "step '" + info.name + "': oneDNN refused to run"};
}

}  // namespace qama::runtime
