#include "ops/patch_embedding.h"

namespace qama::ops {

void PatchUnfold::run(const float* image, float* out) const noexcept {
  const std::int64_t plane = static_cast<std::int64_t>(height) * width;
  for (std::int32_t row = 0; row < height; row += patch) {
    for (std::int32_t column = 0; column < width; column += patch) {
      for (std::int32_t p1 = 0; p1 < patch; ++p1) {
        const float* from = image + static_cast<std::int64_t>(row + p1) * width + column;
        if (channels == 1) {
          for (std::int32_t p2 = 0; p2 < patch; ++p2) *out++ = from[p2];
          continue;
        }
        for (std::int32_t p2 = 0; p2 < patch; ++p2) {
          for (std::int32_t c = 0; c < channels; ++c) *out++ = from[c * plane + p2];
        }
      }
    }
  }
}

}  // namespace qama::ops
