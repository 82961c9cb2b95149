#include "runtime/io/image.h"

#include <algorithm>
#include <cmath>
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

std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(std::lrint(std::clamp(value, 0.0F, 255.0F)));
}

/// Drops alpha and makes the channels right; the size stays.
Image with_channels(const Image& image, std::int32_t channels) {
  Image out{image.width, image.height, channels, {}};
  const std::size_t pixels = static_cast<std::size_t>(image.width) * image.height;
  out.pixels.resize(pixels * channels);
  const bool from_gray = image.channels <= 2;
  for (std::size_t p = 0; p < pixels; ++p) {
    const std::uint8_t* in = image.pixels.data() + p * image.channels;
    std::uint8_t* to = out.pixels.data() + p * channels;
    if (channels == 1) {
      to[0] = from_gray ? in[0]
                        : static_cast<std::uint8_t>(
                              (19595U * in[0] + 38470U * in[1] + 7471U * in[2] + 32768U) >> 16);
    } else {
      for (int c = 0; c < 3; ++c) to[c] = from_gray ? in[0] : in[c];
    }
  }
  return out;
}

std::vector<std::uint8_t> resize(const Image& image, std::int32_t height, std::int32_t width) {
  const std::int32_t channels = image.channels;
  const std::vector<Taps> columns = triangle_taps(image.width, width);
  const std::vector<Taps> rows = triangle_taps(image.height, height);

  // Across first, then down: the intermediate has the input's height and the output's width.
  std::vector<float> across(static_cast<std::size_t>(image.height) * width * channels);
  for (std::int32_t y = 0; y < image.height; ++y) {
    const std::uint8_t* in =
        image.pixels.data() + static_cast<std::size_t>(y) * image.width * channels;
    float* to = across.data() + static_cast<std::size_t>(y) * width * channels;
    for (std::int32_t x = 0; x < width; ++x) {
      const Taps& taps = columns[static_cast<std::size_t>(x)];
      for (std::int32_t c = 0; c < channels; ++c) {
        float sum = 0;
        for (std::size_t k = 0; k < taps.weights.size(); ++k) {
          sum += taps.weights[k] * in[(taps.first + k) * channels + c];
        }
        to[x * channels + c] = sum;
      }
    }
  }
  std::vector<std::uint8_t> out(static_cast<std::size_t>(height) * width * channels);
  const std::size_t row = static_cast<std::size_t>(width) * channels;
  for (std::int32_t y = 0; y < height; ++y) {
    const Taps& taps = rows[static_cast<std::size_t>(y)];
    for (std::size_t x = 0; x < row; ++x) {
      float sum = 0;
      for (std::size_t k = 0; k < taps.weights.size(); ++k) {
        sum += taps.weights[k] * across[(taps.first + k) * row + x];
      }
      out[static_cast<std::size_t>(y) * row + x] = to_byte(sum);
    }
  }
  return out;
}

}  // namespace

Result<std::vector<std::uint8_t>> fit_image(const Image& image, std::int32_t height,
                                            std::int32_t width, std::int32_t channels) {
  const bool sizes_ok =
      image.width >= 1 && image.height >= 1 && image.channels >= 1 && image.channels <= 4 &&
      image.width <= kMaxImageSide && image.height <= kMaxImageSide &&
      image.pixels.size() == static_cast<std::size_t>(image.width) * image.height * image.channels;
  if (!sizes_ok) {
    return Error{ErrorCode::invalid_argument, "the image's sizes and its pixels do not agree"};
  }
  if (height < 1 || width < 1 || height > kMaxImageSide || width > kMaxImageSide ||
      (channels != 1 && channels != 3)) {
    return Error{ErrorCode::invalid_argument,
                 "cannot make an image of " + std::to_string(height) + " x " +
                     std::to_string(width) + " x " + std::to_string(channels) +
                     ", expected sides from 1 to " + std::to_string(kMaxImageSide) +
                     " and 1 or 3 channels"};
  }
  const bool same_size = image.height == height && image.width == width;
  if (image.channels == channels) {
    return same_size ? image.pixels : resize(image, height, width);
  }
  Image converted = with_channels(image, channels);
  if (same_size) return std::move(converted.pixels);
  return resize(converted, height, width);
}

}  // namespace qama::io
