// PatchUnfold: an image cut into patches, one row each, as vit-pytorch's Rearrange
// "b c (h p1) (w p2) -> b (h w) (p1 p2 c)". The rest of the embedding (norm, linear, norm) are
// operators of their own.
#pragma once

#include <cstdint>

namespace qama::ops {

struct PatchUnfold {
  std::int32_t height = 0, width = 0, channels = 0;
  std::int32_t patch = 0;  ///< divides height and width

  [[nodiscard]] std::int64_t patches() const noexcept {
    return static_cast<std::int64_t>(height / patch) * (width / patch);
  }
  [[nodiscard]] std::int64_t patch_dim() const noexcept {
    return static_cast<std::int64_t>(patch) * patch * channels;
  }
  /// `image` [channels][height][width] to `out` [patches][patch * patch * channels].
  void run(const float* image, float* out) const noexcept;
};

}  // namespace qama::ops
