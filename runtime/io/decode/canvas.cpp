#include "runtime/io/decode/canvas.h"

#include <algorithm>
#include <cstring>

#include "runtime/io/decode/format.h"

namespace qama::io {
namespace {

std::int32_t reduced(std::int64_t side, int factor) {
  return static_cast<std::int32_t>((side + factor - 1) / factor);
}

}  // namespace

int reduction(std::int64_t width, std::int64_t height) {
  if (width <= kMaxImageSide && height <= kMaxImageSide && width * height <= kMaxImagePixels) {
    return 1;
  }
  int factor = 2;
  while (reduced(width, factor) > kMaxImageSide || reduced(height, factor) > kMaxImageSide ||
         std::int64_t{reduced(width, factor)} * reduced(height, factor) > kReducedPixels) {
    ++factor;
  }
  return factor;
}

Canvas::Canvas(std::int32_t width, std::int32_t height, std::int32_t channels, int factor,
               Orientation orientation)
    : width_(width),
      height_(height),
      channels_(channels),
      factor_(factor),
      reduced_width_(reduced(width, factor)) {
  const std::int32_t reduced_height = reduced(height, factor);
  const bool turned = orientation > 4;
  image_.width = turned ? reduced_height : reduced_width_;
  image_.height = turned ? reduced_width_ : reduced_height;
  image_.channels = channels;
  image_.pixels.resize(static_cast<std::size_t>(reduced_width_) * reduced_height * channels);
  if (factor_ > 1) {
    sums_.resize(static_cast<std::size_t>(reduced_width_) * channels);
    band_.resize(sums_.size());
  }
  // Column x and row y of the file go to origin + x * step_x + y * step_y.
  const std::ptrdiff_t along = 1;
  const std::ptrdiff_t down = image_.width;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const std::ptrdiff_t x_sign = from_right ? -along : along;
  const std::ptrdiff_t y_sign = from_bottom ? -down : down;
  origin_ = (from_right ? image_.width - 1 : 0) + (from_bottom ? image_.height - 1 : 0) * down;
  step_x_ = turned ? y_sign : x_sign;
  step_y_ = turned ? x_sign : y_sign;
}

void Canvas::place(const std::uint8_t* row) noexcept {
  const std::ptrdiff_t at = origin_ + placed_ * step_y_;
  ++placed_;
  std::uint8_t* out = image_.pixels.data() + at * channels_;
  if (step_x_ == 1) {
    std::memcpy(out, row, static_cast<std::size_t>(reduced_width_) * channels_);
    return;
  }
  for (std::int32_t x = 0; x < reduced_width_; ++x, row += channels_, out += step_x_ * channels_) {
    for (std::int32_t c = 0; c < channels_; ++c) out[c] = row[c];
  }
}

void Canvas::finish_band(std::int32_t rows) noexcept {
  const bool has_alpha = channels_ == 2 || channels_ == 4;
  const std::uint32_t* sums = sums_.data();
  std::uint8_t* out = band_.data();
  for (std::int32_t x = 0; x < reduced_width_; ++x, sums += channels_, out += channels_) {
    const std::int32_t columns = std::min(factor_, width_ - x * factor_);
    const auto pixels = static_cast<std::uint32_t>(rows * columns);
    const std::uint32_t weight = has_alpha ? sums[channels_ - 1] : pixels;
    for (std::int32_t c = 0; c < channels_; ++c) {
      const std::uint32_t over = has_alpha && c == channels_ - 1 ? pixels : weight;
      out[c] = static_cast<std::uint8_t>(over == 0 ? 0 : (sums[c] + over / 2) / over);
    }
  }
  place(band_.data());
  std::fill(sums_.begin(), sums_.end(), 0);
}

void Canvas::add_row(const std::uint8_t* samples) noexcept {
  if (complete()) return;
  ++rows_;
  if (factor_ == 1) {
    place(samples);
    return;
  }
  const bool has_alpha = channels_ == 2 || channels_ == 4;
  std::uint32_t* sums = sums_.data();
  for (std::int32_t first = 0; first < width_; first += factor_, sums += channels_) {
    const std::int32_t end = std::min(first + factor_, width_);
    for (std::int32_t x = first; x < end; ++x, samples += channels_) {
      const std::uint32_t weight = has_alpha ? samples[channels_ - 1] : 1;
      for (std::int32_t c = 0; c < channels_; ++c) {
        sums[c] += has_alpha && c == channels_ - 1 ? samples[c] : samples[c] * weight;
      }
    }
  }
  const std::int32_t in_band = (rows_ - 1) % factor_ + 1;
  if (in_band == factor_ || complete()) finish_band(in_band);
}

Image upright(Image image, Orientation orientation) {
  if (orientation == 1) return image;
  Canvas canvas(image.width, image.height, image.channels, 1, orientation);
  const std::size_t row_bytes = static_cast<std::size_t>(image.width) * image.channels;
  for (std::int32_t y = 0; y < image.height; ++y) canvas.add_row(&image.pixels[row_bytes * y]);
  return canvas.take();
}

}  // namespace qama::io
