// Canvas: takes a picture row by row from the top, as its file stores it, and makes the upright
// Image of it. A picture of more pixels than an Image may have is reduced by a whole factor while
// its rows come in, so that it never lies in memory whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "runtime/io/image.h"

namespace qama::io {

/// EXIF's orientation, 1 to 8: where the stored rows and columns belong. 1: they are upright.
/// Above 4, width and height change places.
using Orientation = int;

/// By how much a picture of this size is reduced: 1 up to kMaxImagePixels with sides up to
/// kMaxImageSide, else the smallest whole factor that brings it to kReducedPixels. Bounded by 16
/// for every size that passed check_source_size().
[[nodiscard]] int reduction(std::int64_t width, std::int64_t height);

class Canvas {
 public:
  /// For stored rows of `width` pixels of `channels` 8-bit samples, `height` of them. `factor`:
  /// each pixel of the result is the mean over factor x factor of the file, fewer at the right and
  /// lower border; colours count as much as their alpha.
  Canvas(std::int32_t width, std::int32_t height, std::int32_t channels, int factor,
         Orientation orientation);

  /// The next row. Does not allocate or throw.
  void add_row(const std::uint8_t* samples) noexcept;
  [[nodiscard]] bool complete() const noexcept { return rows_ == height_; }
  /// Precondition: complete().
  [[nodiscard]] Image take() { return std::move(image_); }

 private:
  void finish_band(std::int32_t rows) noexcept;
  void place(const std::uint8_t* row) noexcept;

  std::int32_t width_ = 0, height_ = 0, channels_ = 0, factor_ = 1;
  std::int32_t rows_ = 0;  ///< taken so far
  std::int32_t reduced_width_ = 0;
  std::int32_t placed_ = 0;                              ///< rows of the result so far
  std::ptrdiff_t origin_ = 0, step_x_ = 0, step_y_ = 0;  ///< of pixels in the result
  std::vector<std::uint32_t> sums_;  ///< of the band of factor_ rows that comes in
  std::vector<std::uint8_t> band_;   ///< its means
  Image image_;
};

/// An image whose rows were read in the order of its file, turned as `orientation` says.
[[nodiscard]] Image upright(Image image, Orientation orientation);

}  // namespace qama::io
