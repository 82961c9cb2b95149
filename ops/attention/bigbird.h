// BigBirdAttention (Zaheer et al. 2020, arXiv 2007.14062), by blocks of `block` tokens: a block
// sees `window_blocks` blocks on either side, the first `global_blocks` blocks, which see
// everything, and the random blocks of its row of a table that the model file holds. Time O(N
// (global + 2 window + 1 + random) block D), working memory that many keys without global blocks,
// O(N) with them.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ops/attention/mixing.h"

namespace qama::ops {

struct BigBirdSpec {
  std::int64_t block = 0, window_blocks = 0, global_blocks = 0, random_blocks = 0;
  std::span<const std::int32_t>
      random;  ///< [ceil(N / block)][random_blocks], block numbers; copied
};

class BigBirdAttention final : public MixingAttention {
 public:
  /// INVALID_ARGUMENT if `random` has not the size that the spec asks for or names a block that is
  /// not there.
  [[nodiscard]] static Result<std::unique_ptr<MixingAttention>> create(
      const MixingShape& shape, const BigBirdSpec& spec,
      const KernelTable& kernels = best_kernels());

  [[nodiscard]] std::string_view name() const noexcept override { return "bigbird"; }
  [[nodiscard]] std::size_t scratch_floats() const noexcept override;
  [[nodiscard]] std::int64_t macs() const noexcept override;
  [[nodiscard]] std::size_t weight_bytes() const noexcept override {
    return ranges_.size() * sizeof(KeyRange);
  }
  void run(std::int64_t tokens, const float* qkv, float* out,
           float* scratch) const noexcept override;

 private:
  BigBirdAttention(const MixingShape& shape, const KernelTable& kernels)
      : MixingAttention(shape, kernels) {}

  /// Queries block_begin .. block_end - 1 see the same keys.
  struct Row {
    std::int64_t begin = 0, end = 0;  ///< tokens
    std::size_t ranges = 0, range_count = 0;
    std::int64_t keys = 0;
  };
  std::vector<Row> rows_;
  std::vector<KeyRange> ranges_;
};

}  // namespace qama::ops
