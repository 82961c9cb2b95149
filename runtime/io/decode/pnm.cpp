// PBM, PGM and PPM, as text (P1, P2, P3) and as bytes (P4, P5, P6), by netpbm's manual pages: one
// white space byte between a header and its bytes; a comment from '#' to the end of its line in
// the header, and between the numbers of a text; the largest value up to 65535, above 255 as two
// bytes, the higher first. In a PBM 1 is black. Of several pictures the first counts.
//
// A header written with CR LF has one byte too many before its pixels. The file's length tells.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "hal/base/quote.h"
#include "runtime/io/decode/canvas.h"
#include "runtime/io/decode/format.h"

namespace qama::io {
namespace {

bool is_space(std::uint8_t c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r';
}

bool is_digit(std::uint8_t c) {
  return c >= '0' && c <= '9';
}

bool is_pnm(Bytes bytes) {
  return bytes.size() >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
         (is_space(bytes[2]) || bytes[2] == '#');
}

class Reader {
 public:
  Reader(Bytes bytes, std::string_view name)
      : bytes_(bytes),
        name_(name),
        bits_(bytes[1] == '1' || bytes[1] == '4'),
        text_(bytes[1] <= '3'),
        channels_(bytes[1] == '3' || bytes[1] == '6' ? 3 : 1) {}

  Result<Image> read() {
    QAMA_ASSIGN_OR_RETURN(width_, header_number("width"));
    QAMA_ASSIGN_OR_RETURN(height_, header_number("height"));
    if (!bits_) {
      QAMA_ASSIGN_OR_RETURN(largest_, header_number("largest value"));
    }
    QAMA_RETURN_IF_ERROR(check_source_size(name_, width_, height_));
    if (largest_ < 1 || largest_ > 65535) {
      return bad_format(
          name_, "its largest value is " + std::to_string(largest_) + ", expected 1 to 65535");
    }
    row_samples_ = static_cast<std::size_t>(width_) * channels_;
    QAMA_RETURN_IF_ERROR(text_ ? check_text() : check_bytes());
    // Not before the file is known to be as long as its picture: this takes memory.
    Canvas canvas(static_cast<std::int32_t>(width_), static_cast<std::int32_t>(height_), channels_,
                  reduction(width_, height_), 1);
    std::vector<std::uint8_t> row(row_samples_);
    for (std::int64_t y = 0; y < height_; ++y) {
      QAMA_RETURN_IF_ERROR(text_ ? text_row(y, row) : bits_ ? bit_row(row) : byte_row(y, row));
      canvas.add_row(row.data());
    }
    if (text_) QAMA_RETURN_IF_ERROR(check_end_of_text());
    return canvas.take();
  }

 private:
  [[nodiscard]] Error damaged(const std::string& what) const { return bad_format(name_, what); }

  void skip_space() {
    while (at_ < bytes_.size() && (is_space(bytes_[at_]) || bytes_[at_] == '#')) {
      if (bytes_[at_] == '#') {
        while (at_ < bytes_.size() && bytes_[at_] != '\n' && bytes_[at_] != '\r') ++at_;
      } else {
        ++at_;
      }
    }
  }

  /// The next number, or -1 where there is none or it has more than 9 digits.
  std::int64_t number() {
    skip_space();
    std::int64_t value = -1;
    for (int digits = 0; at_ < bytes_.size() && is_digit(bytes_[at_]); ++at_, ++digits) {
      if (digits == 9) return -1;
      value = std::max<std::int64_t>(value, 0) * 10 + (bytes_[at_] - '0');
    }
    return value;
  }

  Result<std::int64_t> header_number(const char* what) {
    const std::int64_t value = number();
    if (value < 0) {
      return damaged("its PNM header has no " + std::string(what) + " at byte " +
                     std::to_string(at_) + ", expected width, height" +
                     (bits_ ? "" : " and largest value"));
    }
    return value;
  }

  /// A value of the file as one of 0 to 255.
  [[nodiscard]] std::uint8_t scaled(std::int64_t value) const {
    return static_cast<std::uint8_t>((value * 255 + largest_ / 2) / largest_);
  }

  [[nodiscard]] Error too_large(std::int64_t value, std::int64_t y, std::size_t sample) const {
    return damaged("row " + std::to_string(y) + ", column " + std::to_string(sample / channels_) +
                   " has the value " + std::to_string(value) + ", expected at most " +
                   std::to_string(largest_));
  }

  /// Bytes of pixels: as many as there should be, and what may stand behind them. Sets at_ to the
  /// first.
  Status check_bytes() {
    // A comment may follow the last number; then the byte behind its line is the one before pixels.
    while (at_ < bytes_.size() && bytes_[at_] == '#') {
      while (at_ < bytes_.size() && bytes_[at_] != '\n' && bytes_[at_] != '\r') ++at_;
      ++at_;
    }
    if (at_ >= bytes_.size() || !is_space(bytes_[at_])) {
      return damaged("its PNM header ends at byte " + std::to_string(at_) +
                     " without white space before the pixels");
    }
    ++at_;
    const auto row_bytes = static_cast<std::uint64_t>(
        bits_ ? (width_ + 7) / 8 : width_ * channels_ * (largest_ > 255 ? 2 : 1));
    const std::uint64_t expected = row_bytes * static_cast<std::uint64_t>(height_);
    const std::uint64_t got = bytes_.size() - at_;
    const bool two_bytes = bytes_[at_ - 1] == '\r' && got > 0 && bytes_[at_] == '\n';
    if (got < expected) {
      return damaged("it has " + std::to_string(got) + " bytes of pixels, expected " +
                     std::to_string(expected));
    }
    if (got == expected) return {};
    if (two_bytes && got == expected + 1) {
      ++at_;
      return {};
    }
    const Bytes rest = bytes_.subspan(at_ + static_cast<std::size_t>(expected));
    if (two_bytes) {
      return damaged("its header ends with CR LF and it has " + std::to_string(rest.size()) +
                     " bytes too many, so that the first pixel is not known, expected one white "
                     "space byte before the pixels");
    }
    // Another picture, or the line end that an editor added.
    if (is_pnm(rest) || (rest.size() == 1 && rest[0] == '\n' && !is_space(bytes_[at_]))) return {};
    return damaged(
        "it has " + std::to_string(rest.size()) + " bytes behind its pixels, from byte " +
        std::to_string(bytes_.size() - rest.size()) + " on, expected none or another PNM image");
  }

  /// A text has at least one byte a sample, and one between two where they are not bits.
  Status check_text() {
    const auto samples = static_cast<std::uint64_t>(width_ * height_ * channels_);
    const std::uint64_t least = bits_ ? samples : 2 * samples - 1;
    if (bytes_.size() - at_ < least) {
      return damaged("it has " + std::to_string(bytes_.size() - at_) +
                     " bytes of pixels, expected at least " + std::to_string(least));
    }
    return {};
  }

  Status text_row(std::int64_t y, std::vector<std::uint8_t>& row) {
    for (std::size_t i = 0; i < row_samples_; ++i) {
      skip_space();
      const std::size_t from = at_;
      std::int64_t value = -1;
      if (!bits_) {
        value = number();
      } else if (at_ < bytes_.size() && is_digit(bytes_[at_])) {
        value = bytes_[at_++] - '0';  // digits of a PBM need no space between them
      }
      if (value < 0 ||
          (!bits_ && at_ < bytes_.size() && !is_space(bytes_[at_]) && bytes_[at_] != '#')) {
        return damaged("row " + std::to_string(y) + ", column " + std::to_string(i / channels_) +
                       " has no number at byte " + std::to_string(from));
      }
      if (value > largest_) return too_large(value, y, i);
      row[i] = bits_ ? static_cast<std::uint8_t>(value == 0 ? 255 : 0) : scaled(value);
    }
    return {};
  }

  Status check_end_of_text() {
    skip_space();
    if (at_ == bytes_.size()) return {};
    return damaged("it has text behind its last pixel, at byte " + std::to_string(at_));
  }

  Status bit_row(std::vector<std::uint8_t>& row) {
    for (std::size_t i = 0; i < row_samples_; ++i) {
      row[i] = (bytes_[at_ + i / 8] >> (7 - i % 8) & 1) != 0 ? 0 : 255;
    }
    at_ += (row_samples_ + 7) / 8;
    return {};
  }

  Status byte_row(std::int64_t y, std::vector<std::uint8_t>& row) {
    for (std::size_t i = 0; i < row_samples_; ++i) {
      std::int64_t value = bytes_[at_++];
      if (largest_ > 255) value = value << 8 | bytes_[at_++];
      if (value > largest_) return too_large(value, y, i);
      row[i] = largest_ == 255 ? static_cast<std::uint8_t>(value) : scaled(value);
    }
    return {};
  }

  Bytes bytes_;
  std::string_view name_;
  bool bits_ = false;  ///< PBM
  bool text_ = false;
  std::int32_t channels_ = 1;
  std::size_t at_ = 2;
  std::int64_t width_ = 0, height_ = 0, largest_ = 1;
  std::size_t row_samples_ = 0;
};

Result<Image> decode_pnm(Bytes bytes, std::string_view name) {
  return Reader(bytes, name).read();
}

}  // namespace

const ImageFormat pnm_format{"PNM", is_pnm, decode_pnm};

}  // namespace qama::io
