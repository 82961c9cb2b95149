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
void convert(const ImageView& image, std::int32_t channels, std::uint8_t* out) {
  const bool from_gray = image.channels <= 2;
  for (std::int32_t y = 0; y < image.height; ++y) {
    const std::uint8_t* in = image.pixels + static_cast<std::size_t>(y) * image.row_bytes;
    for (std::int32_t x = 0; x < image.width; ++x, in += image.channels, out += channels) {
      if (channels == 1) {
        out[0] = from_gray ? in[0]
                           : static_cast<std::uint8_t>(
                                 (19595U * in[0] + 38470U * in[1] + 7471U * in[2] + 32768U) >> 16);
      } else {
        for (int c = 0; c < 3; ++c) out[c] = from_gray ? in[0] : in[c];
      }
    }
  }
}

void resize(const ImageView& image, std::int32_t height, std::int32_t width, std::uint8_t* out) {
  const std::int32_t channels = image.channels;
  const std::vector<Taps> columns = triangle_taps(image.width, width);
  const std::vector<Taps> rows = triangle_taps(image.height, height);

  // Across first, then down: the intermediate has the input's height and the output's width.
  std::vector<float> across(static_cast<std::size_t>(image.height) * width * channels);
  for (std::int32_t y = 0; y < image.height; ++y) {
    const std::uint8_t* in = image.pixels + static_cast<std::size_t>(y) * image.row_bytes;
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
}

/// What an image from outside must be before anything is read of it.
Status check(const ImageView& image) {
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
  if (image.row_bytes != 0 && image.row_bytes < row) {
    return Error{ErrorCode::invalid_argument, "rows of " + std::to_string(image.row_bytes) +
                                                  " bytes, expected at least " +
                                                  std::to_string(row)};
  }
  return {};
}

Status check_target(std::int32_t height, std::int32_t width, std::int32_t channels) {
  if (height >= 1 && width >= 1 && height <= kMaxImageSide && width <= kMaxImageSide &&
      (channels == 1 || channels == 3)) {
    return {};
  }
  return Error{ErrorCode::invalid_argument,
               "cannot make an image of " + std::to_string(height) + " x " + std::to_string(width) +
                   " x " + std::to_string(channels) + ", expected sides from 1 to " +
                   std::to_string(kMaxImageSide) + " and 1 or 3 channels"};
}

}  // namespace

Status fit_image(const ImageView& image, std::int32_t height, std::int32_t width,
                 std::int32_t channels, std::span<std::uint8_t> out) {
  QAMA_RETURN_IF_ERROR(check_target(height, width, channels));
  QAMA_RETURN_IF_ERROR(check(image));
  const std::size_t out_row = static_cast<std::size_t>(width) * channels;
  if (out.size() != out_row * height) {
    return Error{ErrorCode::invalid_argument, "room for " + std::to_string(out.size()) +
                                                  " bytes of pixels, expected " +
                                                  std::to_string(out_row * height)};
  }
  ImageView from = image;
  const std::size_t row = static_cast<std::size_t>(image.width) * image.channels;
  if (from.row_bytes == 0) from.row_bytes = row;
  const bool same_size = image.height == height && image.width == width;
  if (same_size && image.channels == channels) {
    for (std::int32_t y = 0; y < height; ++y) {
      std::copy_n(from.pixels + static_cast<std::size_t>(y) * from.row_bytes, row,
                  out.data() + static_cast<std::size_t>(y) * row);
    }
  } else if (same_size) {
    convert(from, channels, out.data());
  } else if (image.channels == channels) {
    resize(from, height, width, out.data());
  } else {
    Image converted{image.width, image.height, channels, {}};
    converted.pixels.resize(static_cast<std::size_t>(image.width) * image.height * channels);
    convert(from, channels, converted.pixels.data());
    from = converted;
    from.row_bytes = static_cast<std::size_t>(image.width) * channels;
    resize(from, height, width, out.data());
  }
  return {};
}

Result<std::vector<std::uint8_t>> fit_image(const Image& image, std::int32_t height,
                                            std::int32_t width, std::int32_t channels) {
  QAMA_RETURN_IF_ERROR(check(image));
  if (image.pixels.size() !=
      static_cast<std::size_t>(image.width) * image.height * image.channels) {
    return Error{ErrorCode::invalid_argument, "the image's sizes and its pixels do not agree"};
  }
  QAMA_RETURN_IF_ERROR(check_target(height, width, channels));
  std::vector<std::uint8_t> out(static_cast<std::size_t>(height) * width * channels);
  QAMA_RETURN_IF_ERROR(fit_image(image, height, width, channels, out));
  return out;
}

}  // namespace qama::io
