// Windows' bitmaps, uncompressed: 1, 4 and 8 bits with a palette, 16, 24 and 32 bits, with masks or
// without, from the top or from the bottom. Debian 12 has no library for them. Run lengths and
// pictures of other formats inside are refused by name. Every number is checked against the file's
// length before it is used.
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "hal/base/quote.h"
#include "runtime/io/decode/canvas.h"
#include "runtime/io/decode/format.h"

namespace qama::io {
namespace {

constexpr std::size_t kFileHeader = 14;

bool is_bmp(Bytes bytes) {
  // The length of the second header, which every bitmap has, is one byte with three zeros.
  return has_magic(bytes, "BM") && bytes.size() >= 18 && bytes[14] >= 12 && bytes[15] == 0 &&
         bytes[16] == 0 && bytes[17] == 0;
}

/// Where a colour's bits are in a pixel.
struct Mask {
  int shift = 0;
  std::uint64_t largest = 0;  ///< 0: the pixel has none of this colour

  [[nodiscard]] std::uint8_t of(std::uint32_t pixel) const {
    if (largest == 0) return 0;
    return static_cast<std::uint8_t>(((pixel >> shift & largest) * 255 + largest / 2) / largest);
  }
};

class Reader {
 public:
  Reader(Bytes bytes, std::string_view name) : bytes_(bytes), name_(name) {}

  Result<Image> read() {
    QAMA_RETURN_IF_ERROR(read_header());
    QAMA_RETURN_IF_ERROR(check_source_size(name_, width_, height_));
    QAMA_RETURN_IF_ERROR(bits_ <= 8 ? read_palette() : read_masks());
    const std::uint64_t row_bytes = (static_cast<std::uint64_t>(width_) * bits_ + 31) / 32 * 4;
    const std::uint64_t expected = row_bytes * static_cast<std::uint64_t>(height_);
    if (pixels_at_ > bytes_.size() || bytes_.size() - pixels_at_ < expected) {
      return bad_format(name_, "its BMP data has " +
                                   std::to_string(bytes_.size() - std::min<std::uint64_t>(
                                                                      pixels_at_, bytes_.size())) +
                                   " bytes of pixels, expected " + std::to_string(expected));
    }
    const auto row = [&](std::int64_t y) {
      return bytes_.subspan(static_cast<std::size_t>(pixels_at_ + row_bytes * y),
                            static_cast<std::size_t>(row_bytes));
    };
    // Many programs write a mask for alpha and leave all of it 0.
    bool has_alpha = false;
    for (std::int64_t y = 0; masks_[3].largest != 0 && y < height_ && !has_alpha; ++y) {
      for (std::int64_t x = 0; x < width_; ++x) has_alpha |= masks_[3].of(pixel(row(y), x)) != 0;
    }
    const int channels = has_alpha ? 4 : 3;
    Canvas canvas(static_cast<std::int32_t>(width_), static_cast<std::int32_t>(height_), channels,
                  reduction(width_, height_), from_bottom_ ? 4 : 1);
    std::vector<std::uint8_t> samples(static_cast<std::size_t>(width_) * channels);
    for (std::int64_t y = 0; y < height_; ++y) {
      std::uint8_t* out = samples.data();
      for (std::int64_t x = 0; x < width_; ++x, out += channels) {
        const std::uint32_t value = pixel(row(y), x);
        if (bits_ <= 8 && value >= palette_.size()) {
          return bad_format(name_, "its stored row " + std::to_string(y) + ", column " +
                                       std::to_string(x) + " has colour " + std::to_string(value) +
                                       " of a palette of " + std::to_string(palette_.size()));
        }
        const std::uint32_t colour = bits_ <= 8 ? palette_[value] : value;
        for (int c = 0; c < channels; ++c) out[c] = masks_[c].of(colour);
      }
      canvas.add_row(samples.data());
    }
    return canvas.take();
  }

 private:
  /// Little-endian; what is behind the end reads as 0, and is found missing when pixels are
  /// counted.
  [[nodiscard]] std::uint32_t number(std::uint64_t at, int bytes) const {
    std::uint32_t value = 0;
    for (int i = bytes - 1; i >= 0; --i) {
      const std::uint64_t from = at + static_cast<std::uint64_t>(i);
      value = value << 8 | (from < bytes_.size() ? bytes_[static_cast<std::size_t>(from)] : 0U);
    }
    return value;
  }

  [[nodiscard]] std::uint32_t pixel(Bytes row, std::int64_t x) const {
    const auto at = static_cast<std::size_t>(x * bits_ / 8);
    if (bits_ < 8) {
      const auto bit = static_cast<int>(8 - bits_ - x * bits_ % 8);
      return row[at] >> bit & ((1U << bits_) - 1);
    }
    std::uint32_t value = 0;
    for (int i = bits_ / 8 - 1; i >= 0; --i) value = value << 8 | row[at + i];
    return value;
  }

  Status read_header() {
    header_bytes_ = number(kFileHeader, 4);
    pixels_at_ = number(10, 4);
    const bool old = header_bytes_ == 12;
    if (!old && header_bytes_ < 40) {
      return bad_format(name_, "its BMP header has " + std::to_string(header_bytes_) +
                                   " bytes, expected 12, 40 or more");
    }
    width_ = old ? std::int64_t{number(18, 2)} : static_cast<std::int32_t>(number(18, 4));
    height_ = old ? std::int64_t{number(20, 2)} : static_cast<std::int32_t>(number(22, 4));
    bits_ = static_cast<int>(number(old ? 24 : 28, 2));
    compression_ = old ? 0 : number(30, 4);
    from_bottom_ = height_ > 0;
    if (height_ < 0) height_ = -height_;
    constexpr const char* kCompressions[] = {"", "run lengths of 8 bits", "run lengths of 4 bits",
                                             "", "a JPEG image",          "a PNG image",
                                             ""};
    const bool known = compression_ < std::size(kCompressions);
    if (!known || kCompressions[compression_][0] != '\0') {
      return bad_format(name_, "it is a BMP image with " +
                                   (known ? std::string(kCompressions[compression_])
                                          : "compression " + std::to_string(compression_)) +
                                   " inside, expected an uncompressed one");
    }
    const bool masked = compression_ != 0;
    if (masked
            ? bits_ != 16 && bits_ != 32
            : bits_ != 1 && bits_ != 4 && bits_ != 8 && bits_ != 16 && bits_ != 24 && bits_ != 32) {
      return bad_format(name_, "it has " + std::to_string(bits_) + " bits a pixel, expected " +
                                   (masked ? "16 or 32" : "1, 4, 8, 16, 24 or 32"));
    }
    return {};
  }

  Status read_palette() {
    const std::uint64_t at = kFileHeader + header_bytes_;
    const int entry = header_bytes_ == 12 ? 3 : 4;
    const std::uint32_t used = header_bytes_ == 12 ? 0 : number(46, 4);
    const std::uint32_t colours = used == 0 ? 1U << bits_ : used;
    if (colours > 1U << bits_ || at + std::uint64_t{colours} * entry > pixels_at_) {
      return bad_format(name_, "its palette of " + std::to_string(colours) +
                                   " colours has no room before its pixels at byte " +
                                   std::to_string(pixels_at_));
    }
    for (std::uint32_t i = 0; i < colours; ++i) {
      palette_.push_back(number(at + std::uint64_t{i} * entry, 3));
    }
    set_masks(0xFF0000, 0xFF00, 0xFF, 0);
    return {};
  }

  Status read_masks() {
    if (compression_ == 0) {
      if (bits_ == 16) {
        set_masks(0x7C00, 0x3E0, 0x1F, 0);
      } else {
        set_masks(0xFF0000, 0xFF00, 0xFF, 0);
      }
      return {};
    }
    // At the same place in every header: in it, or behind the shortest.
    const bool with_alpha = compression_ == 6 || header_bytes_ >= 56;
    set_masks(number(54, 4), number(58, 4), number(62, 4), with_alpha ? number(66, 4) : 0);
    for (const Mask& mask : masks_) {
      if ((mask.largest & (mask.largest + 1)) != 0) {
        return bad_format(name_, "the bits of a colour do not stand side by side in its masks");
      }
    }
    return {};
  }

  void set_masks(std::uint32_t red, std::uint32_t green, std::uint32_t blue, std::uint32_t alpha) {
    const std::uint32_t bits[] = {red, green, blue, alpha};
    for (int c = 0; c < 4; ++c) {
      masks_[c].shift = bits[c] == 0 ? 0 : std::countr_zero(bits[c]);
      masks_[c].largest = bits[c] >> masks_[c].shift;
    }
  }

  Bytes bytes_;
  std::string_view name_;
  std::uint64_t header_bytes_ = 0, pixels_at_ = 0;
  std::int64_t width_ = 0, height_ = 0;
  int bits_ = 0;
  std::uint32_t compression_ = 0;
  bool from_bottom_ = true;
  std::vector<std::uint32_t> palette_;  ///< 0xRRGGBB
  Mask masks_[4];                       ///< red, green, blue, alpha
};

Result<Image> decode_bmp(Bytes bytes, std::string_view name) {
  return Reader(bytes, name).read();
}

}  // namespace

const ImageFormat bmp_format{"BMP", is_bmp, decode_bmp};

}  // namespace qama::io
