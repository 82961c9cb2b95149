#include "ops/patch_embedding.h"

namespace qama::ops {
namespace {

/// `count` pixels of C planes, side by side.
template <int C>
float* interleave(const float* from, std::int64_t plane, std::int32_t count, float* out) noexcept {
  for (std::int32_t p = 0; p < count; ++p) {
    for (int c = 0; c < C; ++c) *out++ = from[c * plane + p];
  }
  return out;
}

}  // namespace

void PatchUnfold::run(const float* image, float* out) const noexcept {
  const std::int64_t plane = static_cast<std::int64_t>(height) * width;
  for (std::int32_t row = 0; row < height; row += patch) {
    for (std::int32_t column = 0; column < width; column += patch) {
      for (std::int32_t p1 = 0; p1 < patch; ++p1) {
        const float* from = image + static_cast<std::int64_t>(row + p1) * width + column;
        if (channels == 1) {
          out = interleave<1>(from, plane, patch, out);
          continue;
        }
        if (channels == 3) {
          out = interleave<3>(from, plane, patch, out);
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
