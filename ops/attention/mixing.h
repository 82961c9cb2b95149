// MixingAttention: the attention kinds whose heads mix values without a device: Longformer,
// BigBird, Linformer, Performer, Reformer (the paper's Table VII). A kind is a file pair beside
// this one with a class derived from it, its plain version in reference/mixing.h, and what
// weights/attention/kinds.inc asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "ops/simd/kernels.h"

namespace qama::ops {

/// Sizes that every kind has.
struct MixingShape {
  std::int64_t tokens = 0;  ///< N, the most that run() is called with
  std::int64_t heads = 0, dim_head = 0;
  [[nodiscard]] std::int64_t inner() const noexcept { return heads * dim_head; }
};

/// Immutable after its create(); may be shared by threads, each with a scratch of its own.
class MixingAttention {
 public:
  virtual ~MixingAttention() = default;
  MixingAttention(const MixingAttention&) = delete;
  MixingAttention& operator=(const MixingAttention&) = delete;

  /// "longformer"
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// Floats of run()'s scratch: the method's working memory besides qkv and out.
  [[nodiscard]] virtual std::size_t scratch_floats() const noexcept = 0;
  /// Multiply-adds of a sample of N tokens.
  [[nodiscard]] virtual std::int64_t macs() const noexcept = 0;
  /// Bytes of its own constants.
  [[nodiscard]] virtual std::size_t weight_bytes() const noexcept { return 0; }
  /// `qkv` [tokens][3 heads dim_head] (queries, keys, values; head-major; Reformer: [tokens][2
  /// heads dim_head], queries that are keys, values) to `out` [tokens][heads dim_head]. 1 <= tokens
  /// <= N. Allocates nothing.
  virtual void run(std::int64_t tokens, const float* qkv, float* out,
                   float* scratch) const noexcept = 0;

  [[nodiscard]] const MixingShape& shape() const noexcept { return shape_; }

 protected:
  MixingAttention(const MixingShape& shape, const KernelTable& kernels)
      : shape_(shape), kernels_(&kernels) {}

  /// 1 / sqrt(dim_head)
  [[nodiscard]] float score_scale() const noexcept;

  MixingShape shape_;
  const KernelTable* kernels_;
};

/// INVALID_ARGUMENT: `what` has `got` elements, expected `expected`.
[[nodiscard]] Error bad_mixing_size(std::string_view kind, std::string_view what, std::size_t got,
                                    std::size_t expected);

}  // namespace qama::ops
