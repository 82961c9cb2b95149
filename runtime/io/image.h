// Images as 8-bit samples: decoding from memory, and other sizes. A file is what its first bytes
// say, never what its name says. The formats, and how to add one: decode/format.h. What a model
// sees of an image is picture.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace qama::io {

/// Bounds on images from outside, checked before anything is decoded.
inline constexpr std::size_t kMaxImageFileBytes = std::size_t{256} << 20;
inline constexpr std::int32_t kMaxImageSide = 16384;
inline constexpr std::int64_t kMaxImagePixels = std::int64_t{1} << 25;

/// Rows from the top, channels interleaved: pixels[(y * width + x) * channels + c].
struct Image {
  std::int32_t width = 0;
  std::int32_t height = 0;
  std::int32_t channels = 0;  ///< 1 gray, 2 gray + alpha, 3 RGB, 4 RGB + alpha
  std::vector<std::uint8_t> pixels;
};

/// Decodes a whole file's bytes; `name` is for the error sentence. The image is upright: EXIF's
/// orientation is applied. Alpha stays, palettes' and colour keys' too; 16 bits are scaled to 8 by
/// rounding. A picture of more than kMaxImagePixels, up to 2^29, is reduced by a whole factor (the
/// mean of its pixels) while it is read, so that reading takes some 100 MB at most beside the file;
/// progressive JPEGs take up to 320 MB more. IMAGE_BAD_FORMAT (not an image, damaged, cut short, a
/// format that this build does not read), IMAGE_TOO_LARGE.
[[nodiscard]] Result<Image> decode_image(std::span<const std::uint8_t> bytes,
                                         std::string_view name);

/// Somebody else's pixels, laid out as those of Image; rows may lie further apart.
struct ImageView {
  const std::uint8_t* pixels = nullptr;
  std::int32_t width = 0;
  std::int32_t height = 0;
  std::int32_t channels = 0;  ///< 1 gray, 2 gray + alpha, 3 RGB, 4 RGB + alpha
  std::size_t row_bytes = 0;  ///< from a row to the next; 0: width * channels

  ImageView() = default;
  ImageView(const std::uint8_t* data, std::int32_t w, std::int32_t h, std::int32_t c,
            std::size_t row = 0) noexcept
      : pixels(data), width(w), height(h), channels(c), row_bytes(row) {}
  ImageView(const Image& image) noexcept
      : ImageView(image.pixels.data(), image.width, image.height, image.channels) {}
};

/// INVALID_ARGUMENT where it is no image (a size or a row below 1, 5 channels, no pixels),
/// IMAGE_TOO_LARGE.
[[nodiscard]] Status check_image(const ImageView& image);

/// An image of numbers, 0 to 255, laid out as Image.
struct Levels {
  std::int32_t width = 0;
  std::int32_t height = 0;
  std::int32_t channels = 0;
  std::vector<float> values;
};

/// The whole image at another size, whatever its aspect. Bilinear; where an image shrinks, the
/// triangle filter is widened by the ratio, so that every pixel counts (Pillow's and torchvision's
/// antialiased bilinear). Precondition: check_image() is content, sides from 1.
[[nodiscard]] Levels resample(const ImageView& image, std::int32_t height, std::int32_t width);
[[nodiscard]] Levels resample(const Levels& image, std::int32_t height, std::int32_t width);

}  // namespace qama::io
