#include "runtime/engine/preprocess.h"

namespace qama::runtime {

ImageNormaliser::ImageNormaliser(const Model& model) {
  const weights::Architecture& a = model.architecture();
  const weights::Preprocess& p = model.preprocess();
  plane_ = a.image_height * a.image_width;
  channels_ = a.image_channels;
  table_.resize(static_cast<std::size_t>(channels_) * 256);
  for (std::size_t c = 0; c < static_cast<std::size_t>(channels_); ++c) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      table_[c * 256 + byte] =
          static_cast<float>((static_cast<double>(byte) / p.scale - p.mean[c]) / p.stddev[c]);
    }
  }
}

void ImageNormaliser::apply(const std::uint8_t* pixels, float* out) const noexcept {
  for (std::int32_t c = 0; c < channels_; ++c) {
    const float* table = table_.data() + static_cast<std::size_t>(c) * 256;
    float* plane = out + static_cast<std::size_t>(c) * static_cast<std::size_t>(plane_);
    const std::uint8_t* from = pixels + c;
    for (std::int32_t i = 0; i < plane_; ++i, from += channels_) plane[i] = table[*from];
  }
}

}  // namespace qama::runtime
