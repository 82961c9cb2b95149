// decode_image(): asks each format of decode/ whether the bytes are its own. What no decoder reads
// is named, where it is known, in the sentence that refuses it.
#include <string>

#include "hal/base/quote.h"
#include "runtime/io/decode/format.h"
#include "runtime/io/image.h"

namespace qama::io {
namespace {

/// In this order; to add one, see decode/format.h.
constexpr const ImageFormat* kFormats[] = {&png_format, &jpeg_format, &pnm_format, &bmp_format,
                                           &gif_format, &webp_format, &tiff_format};

struct Foreign {
  std::string_view magic;
  std::size_t at;
  std::string_view what;
};

/// Files that people take for pictures, or that pictures come in.
constexpr Foreign kForeign[] = {
    {"ftyphei", 4, "a HEIC image"},
    {"ftyphev", 4, "a HEIC image"},
    {"ftypmif1", 4, "a HEIF image"},
    {"ftypmsf1", 4, "a HEIF image"},
    {"ftypavi", 4, "an AVIF image"},
    {"ftyp", 4, "a video or image of the MP4 family"},
    {std::string_view("\0\0\0\x0CjP  \r\n\x87\n", 12), 0, "a JPEG 2000 image"},
    {"\xFF\x4F\xFF\x51", 0, "a JPEG 2000 image"},
    {std::string_view("\0\0\0\x0CJXL \r\n\x87\n", 12), 0, "a JPEG XL image"},
    {"\xFF\x0A", 0, "a JPEG XL image"},
    {"P7\n", 0, "a PAM image (PNM of type P7)"},
    {"PF\n", 0, "a PFM image"},
    {"Pf\n", 0, "a PFM image"},
    {"8BPS", 0, "a Photoshop document"},
    {std::string_view("\0\0\1\0", 4), 0, "a Windows icon"},
    {"\x76\x2F\x31\x01", 0, "an OpenEXR image"},
    {"%PDF-", 0, "a PDF document"},
    {"PK\x03\x04", 0, "a ZIP archive"},
    {"\x1F\x8B", 0, "a gzip file"},
    {"\x93NUMPY", 0, "a NumPy array"},
    {"<svg", 0, "an SVG drawing"},
    {"<?xml", 0, "an XML document"},
    {"<!DOCTYPE", 0, "a web page"},
    {"<!doctype", 0, "a web page"},
    {"<html", 0, "a web page"},
    {"version https://git-lfs", 0, "a pointer of Git LFS in place of the file"},
};

/// "PNG, JPEG and PNM": what this build reads.
std::string readable() {
  std::string out;
  for (const ImageFormat* format : kFormats) {
    if (format->decode != nullptr) out += (out.empty() ? "" : ", ") + std::string(format->name);
  }
  const std::size_t last = out.rfind(", ");
  return out.replace(last, 2, " and ");
}

Error not_readable(std::string_view name, std::string_view what) {
  return bad_format(name, "it is " + std::string(what) + ", expected one of " + readable());
}

}  // namespace

Error no_memory(std::string_view name) {
  return Error{ErrorCode::out_of_memory, "image " + quote(name) + ": no memory left to decode it"};
}

Error bad_format(std::string_view name, const std::string& what) {
  return Error{ErrorCode::image_bad_format, "image " + quote(name) + ": " + what};
}

namespace {

Status check_size(std::string_view name, std::int64_t width, std::int64_t height,
                  std::int64_t most_side, std::int64_t most_pixels, const std::string& why) {
  if (width >= 1 && height >= 1 && width <= most_side && height <= most_side &&
      width * height <= most_pixels) {
    return {};
  }
  const std::string size =
      "its size is " + std::to_string(width) + " x " + std::to_string(height) + ", expected ";
  if (width < 1 || height < 1) return bad_format(name, size + "at least 1 x 1");
  return Error{ErrorCode::image_too_large, "image " + quote(name) + ": " + size + "sides up to " +
                                               std::to_string(most_side) + " and " +
                                               std::to_string(most_pixels) + " pixels" + why};
}

}  // namespace

Status check_source_size(std::string_view name, std::int64_t width, std::int64_t height) {
  return check_size(name, width, height, kMaxSourceSide, kMaxSourcePixels, "");
}

Status check_whole_size(std::string_view name, std::int64_t width, std::int64_t height,
                        std::string_view why) {
  return check_size(name, width, height, kMaxImageSide, kMaxImagePixels,
                    " for " + std::string(why));
}

Result<Image> decode_image(std::span<const std::uint8_t> bytes, std::string_view name) {
  if (bytes.empty()) return bad_format(name, "it is empty, expected one of " + readable());
  if (bytes.size() > kMaxImageFileBytes) {
    return Error{ErrorCode::image_too_large,
                 "image " + quote(name) + " has " + std::to_string(bytes.size()) +
                     " bytes, expected at most " + std::to_string(kMaxImageFileBytes)};
  }
  for (const ImageFormat* format : kFormats) {
    if (!format->is(bytes)) continue;
    if (format->decode != nullptr) return format->decode(bytes, name);
    return not_readable(
        name, "a " + std::string(format->name) + " image, which this build does not read");
  }
  if (bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 8) {
    return bad_format(name, "it is an IDX file: name one of its images as FILE:INDEX");
  }
  for (const Foreign& foreign : kForeign) {
    if (has_magic(bytes, foreign.magic, foreign.at)) return not_readable(name, foreign.what);
  }
  return not_readable(name, "not an image");
}

}  // namespace qama::io
