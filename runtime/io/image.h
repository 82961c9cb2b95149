// Images as 8-bit samples: decoding from memory, and bringing any image to the size and channels
// that a model expects. A file is what its first bytes say, never what its name says. The formats,
// and how to add one: decode/format.h. Normalising to floats is the engine's business.
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

/// Writes the image as height x width x channels (1 or 3), interleaved, into `out`, which has
/// exactly that many bytes: what qama_session_classify_u8 takes.
///   alpha      is dropped
///   gray       to three channels: repeated; colour to gray: ITU-R 601 luma, as Pillow computes it,
///              (19595 R + 38470 G + 7471 B + 32768) >> 16
///   size       bilinear; where an image shrinks, the triangle filter is widened by the ratio, so
///              that every pixel counts (Pillow's and torchvision's antialiased bilinear). The
///              whole image is scaled to the whole result, whatever its aspect.
/// An image of the right size and channels comes out unchanged, without an allocation.
/// INVALID_ARGUMENT for an empty image or an impossible target, IMAGE_TOO_LARGE.
[[nodiscard]] Status fit_image(const ImageView& image, std::int32_t height, std::int32_t width,
                               std::int32_t channels, std::span<std::uint8_t> out);
/// The same into memory of its own.
[[nodiscard]] Result<std::vector<std::uint8_t>> fit_image(const Image& image, std::int32_t height,
                                                          std::int32_t width,
                                                          std::int32_t channels);

}  // namespace qama::io
