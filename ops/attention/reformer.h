// ReformerAttention (Kitaev et al. 2020, arXiv 2001.04451): queries are keys (keys brought to unit
// length). In each round tokens are sorted by bucket, argmax [x R, -x R], then by position, and cut
// into chunks; a token sees its chunk and the one before (the first: the last), but itself only
// where it is alone. Rounds are averaged with the weights of their softmax sums. The rotations R
// are in the model file, so that the same input always meets the same buckets. Time O(N hashes
// (chunk + buckets) D), working memory O(N).
#pragma once

#include <memory>
#include <span>

#include "ops/attention/mixing.h"

namespace qama::ops {

struct ReformerSpec {
  std::int64_t hashes = 0, buckets = 0, chunk = 0;
  std::span<const float> rotations;  ///< [hashes][dim_head][buckets / 2], copied
};

class ReformerAttention final : public MixingAttention {
 public:
  /// INVALID_ARGUMENT for rotations of another size or an odd number of buckets.
  [[nodiscard]] static Result<std::unique_ptr<MixingAttention>> create(
      const MixingShape& shape, const ReformerSpec& spec,
      const KernelTable& kernels = best_kernels());
  static constexpr float kShortest = 1e-6F;  ///< length that a shorter key is divided by

  [[nodiscard]] std::string_view name() const noexcept override { return "reformer"; }
  [[nodiscard]] std::size_t scratch_floats() const noexcept override;
  [[nodiscard]] std::int64_t macs() const noexcept override;
  [[nodiscard]] std::size_t weight_bytes() const noexcept override {
    return rotations_.size() * sizeof(float);
  }
  void run(std::int64_t tokens, const float* qkv, float* out,
           float* scratch) const noexcept override;

 private:
  ReformerAttention(const MixingShape& shape, const KernelTable& kernels)
      : MixingAttention(shape, kernels) {}

  struct Scratch;
  [[nodiscard]] Scratch pieces(float* scratch) const noexcept;
  void sort(std::int64_t tokens, const float* q, std::int64_t round,
            const Scratch& s) const noexcept;
  void attend_chunk(std::int64_t tokens, const float* q, std::int64_t chunk,
                    const Scratch& s) const noexcept;

  std::int64_t hashes_ = 0, buckets_ = 0, chunk_ = 0;
  AlignedBuffer<float> rotations_;
};

}  // namespace qama::ops
