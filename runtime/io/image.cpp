#include "runtime/io/image.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

namespace qama::io {
namespace {

/// Which input samples an output sample is the weighted mean of, along one axis.
struct Taps {
  std::int32_t first = 0;
  std::vector<float> weights;  ///< sum 1
};

/// Half-pixel centres, triangle of radius max(1, from / to), cut at the borders and normalised.
std::vector<Taps> triangle_taps(std::int32_t from, std::int32_t to) {
  const double ratio = static_cast<double>(from) / to;
  const double radius = std::max(1.0, ratio);
  std::vector<Taps> out(static_cast<std::size_t>(to));
  for (std::int32_t i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * ratio;
    const auto first = static_cast<std::int32_t>(std::max(0.0, std::floor(centre - radius)));
    const auto end =
        static_cast<std::int32_t>(std::min(static_cast<double>(from), std::ceil(centre + radius)));
    Taps& taps = out[static_cast<std::size_t>(i)];
    taps.first = first;
    double sum = 0;
    std::vector<double> weights;
    for (std::int32_t j = first; j < end; ++j) {
      const double weight = std::max(0.0, 1.0 - std::fabs(j + 0.5 - centre) / radius);
      weights.push_back(weight);
      sum += weight;
    }
    for (const double weight : weights) taps.weights.push_back(static_cast<float>(weight / sum));
  }
  return out;
}

/// Rows lie `stride` elements apart.
template <typename T>
Levels resample(const T* pixels, std::size_t stride, std::int32_t from_height,
                std::int32_t from_width, std::int32_t channels, std::int32_t height,
                std::int32_t width) {
  const std::vector<Taps> columns = triangle_taps(from_width, width);
  const std::vector<Taps> rows = triangle_taps(from_height, height);

  // Across first, then down: the intermediate has the input's height and the output's width.
  std::vector<float> across(static_cast<std::size_t>(from_height) * width * channels);
  for (std::int32_t y = 0; y < from_height; ++y) {
    const T* in = pixels + static_cast<std::size_t>(y) * stride;
    float* to = across.data() + static_cast<std::size_t>(y) * width * channels;
    for (std::int32_t x = 0; x < width; ++x) {
      const Taps& taps = columns[static_cast<std::size_t>(x)];
      for (std::int32_t c = 0; c < channels; ++c) {
        float sum = 0;
        for (std::size_t k = 0; k < taps.weights.size(); ++k) {
          sum += taps.weights[k] * static_cast<float>(in[(taps.first + k) * channels + c]);
        }
        to[x * channels + c] = sum;
      }
    }
  }
  Levels out{width, height, channels, {}};
  const std::size_t row = static_cast<std::size_t>(width) * channels;
  out.values.resize(row * height);
  for (std::int32_t y = 0; y < height; ++y) {
    const Taps& taps = rows[static_cast<std::size_t>(y)];
    for (std::size_t x = 0; x < row; ++x) {
      float sum = 0;
      for (std::size_t k = 0; k < taps.weights.size(); ++k) {
        sum += taps.weights[k] * across[(taps.first + k) * row + x];
      }
      out.values[static_cast<std::size_t>(y) * row + x] = sum;
    }
  }
  return out;
}

}  // namespace

Status check_image(const ImageView& image) {
  if (image.pixels == nullptr || image.width < 1 || image.height < 1 || image.channels < 1 ||
      image.channels > 4) {
    return Error{ErrorCode::invalid_argument, "an image of " + std::to_string(image.width) + " x " +
                                                  std::to_string(image.height) + " pixels and " +
                                                  std::to_string(image.channels) + " channels" +
                                                  (image.pixels == nullptr ? " at NULL" : "") +
                                                  ", expected at least 1 x 1 and 1 to 4 channels"};
  }
  if (image.width > kMaxImageSide || image.height > kMaxImageSide ||
      std::int64_t{image.width} * image.height > kMaxImagePixels) {
    return Error{ErrorCode::image_too_large, "an image of " + std::to_string(image.width) + " x " +
                                                 std::to_string(image.height) +
                                                 ", expected sides up to " +
                                                 std::to_string(kMaxImageSide) + " and " +
                                                 std::to_string(kMaxImagePixels) + " pixels"};
  }
  const std::size_t row = static_cast<std::size_t>(image.width) * image.channels;
  // More than memory has is a distance to the row above, of pictures that begin with their last
  // row.
  const auto most = static_cast<std::size_t>(PTRDIFF_MAX / image.height);
  if (image.row_bytes != 0 && (image.row_bytes < row || image.row_bytes > most)) {
    return Error{ErrorCode::invalid_argument, "rows of " + std::to_string(image.row_bytes) +
                                                  " bytes, expected " + std::to_string(row) +
                                                  " to " + std::to_string(most)};
  }
  return {};
}

Levels resample(const ImageView& image, std::int32_t height, std::int32_t width) {
  const std::size_t row = static_cast<std::size_t>(image.width) * image.channels;
  return resample(image.pixels, image.row_bytes == 0 ? row : image.row_bytes, image.height,
                  image.width, image.channels, height, width);
}

Levels resample(const Levels& image, std::int32_t height, std::int32_t width) {
  return resample(image.values.data(), static_cast<std::size_t>(image.width) * image.channels,
                  image.height, image.width, image.channels, height, width);
}

}  // namespace qama::io
