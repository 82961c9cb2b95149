#include "ops/attention/bigbird.h"

#include <algorithm>
#include <string>

namespace qama::ops {

Result<std::unique_ptr<MixingAttention>> BigBirdAttention::create(const MixingShape& shape,
                                                                  const BigBirdSpec& spec,
                                                                  const KernelTable& kernels) {
  if (spec.block < 1) {
    return Error{ErrorCode::invalid_argument, "bigbird: blocks of " + std::to_string(spec.block) +
                                                  " tokens, expected at least 1"};
  }
  const std::int64_t blocks = (shape.tokens + spec.block - 1) / spec.block;
  const auto numbers = static_cast<std::size_t>(blocks * spec.random_blocks);
  if (spec.random.size() != numbers) {
    return bad_mixing_size("bigbird", "the table of random blocks", spec.random.size(), numbers);
  }
  std::unique_ptr<BigBirdAttention> out(new BigBirdAttention(shape, kernels));
  const std::int64_t global = std::min(spec.global_blocks, blocks);
  if (global > 0) {
    const std::int64_t end = std::min(global * spec.block, shape.tokens);
    out->rows_.push_back({0, end, 0, 1, shape.tokens});
    out->ranges_.push_back({0, shape.tokens, kEveryKey});
  }
  std::vector<bool> seen;
  for (std::int64_t row = global; row < blocks; ++row) {
    seen.assign(static_cast<std::size_t>(blocks), false);
    std::fill_n(seen.begin(), global, true);
    const std::int64_t last = std::min(row + spec.window_blocks, blocks - 1);
    for (std::int64_t b = std::max<std::int64_t>(row - spec.window_blocks, 0); b <= last; ++b) {
      seen[static_cast<std::size_t>(b)] = true;
    }
    for (std::int64_t r = 0; r < spec.random_blocks; ++r) {
      const std::int32_t number =
          spec.random[static_cast<std::size_t>(row * spec.random_blocks + r)];
      if (number < 0 || number >= blocks) {
        return Error{ErrorCode::invalid_argument, "bigbird: random block " +
                                                      std::to_string(number) + ", expected 0 to " +
                                                      std::to_string(blocks - 1)};
      }
      seen[static_cast<std::size_t>(number)] = true;
    }
    Row entry{row * spec.block, std::min((row + 1) * spec.block, shape.tokens), out->ranges_.size(),
              0, 0};
    for (std::int64_t b = 0; b < blocks; ++b) {
      if (!seen[static_cast<std::size_t>(b)]) continue;
      const std::int64_t end = std::min((b + 1) * spec.block, shape.tokens);
      if (entry.range_count > 0 && out->ranges_.back().end == b * spec.block) {
        out->ranges_.back().end = end;
      } else {
        out->ranges_.push_back({b * spec.block, end, kEveryKey});
        ++entry.range_count;
      }
      entry.keys += end - b * spec.block;
    }
    out->rows_.push_back(entry);
  }
  return std::unique_ptr<MixingAttention>(std::move(out));
}

std::size_t BigBirdAttention::scratch_floats() const noexcept {
  std::int64_t keys = 0;
  for (const Row& row : rows_) keys = std::max(keys, row.keys);
  return static_cast<std::size_t>(softmax_scratch_floats(keys, shape_.dim_head));
}

std::int64_t BigBirdAttention::macs() const noexcept {
  std::int64_t pairs = 0;
  for (const Row& row : rows_) pairs += (row.end - row.begin) * row.keys;
  return 2 * pairs * shape_.inner();
}

void BigBirdAttention::run(std::int64_t tokens, const float* qkv, float* out,
                           float* scratch) const noexcept {
  const std::int64_t inner = shape_.inner();
  const std::int64_t stride = 3 * inner;
  for (std::int64_t t = 0; t < shape_.heads; ++t) {
    const float* q = qkv + t * shape_.dim_head;
    for (const Row& row : rows_) {
      if (row.begin >= tokens) break;
      kernels_->attend({.queries = std::min(row.end, tokens) - row.begin,
                        .keys = tokens,
                        .dim_head = shape_.dim_head,
                        .q = q + row.begin * stride,
                        .k = q + inner,
                        .v = q + 2 * inner,
                        .q_stride = stride,
                        .k_stride = stride,
                        .v_stride = stride,
                        .position = row.begin,
                        .ranges = ranges_.data() + row.ranges,
                        .range_count = static_cast<std::int64_t>(row.range_count),
                        .scale = score_scale(),
                        .out = out + row.begin * inner + t * shape_.dim_head,
                        .out_stride = inner,
                        .log_sum = nullptr,
                        .scratch = scratch});
    }
  }
}

}  // namespace qama::ops
