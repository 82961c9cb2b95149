#include "runtime/io/png_writer.h"

#include <zlib.h>

#include <string_view>

namespace qama::io {
namespace {

void append_u32(std::string& out, std::uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift);
}

void append_chunk(std::string& png, std::string_view type, std::string_view data) {
  append_u32(png, static_cast<std::uint32_t>(data.size()));
  const std::size_t start = png.size();
  png += type;
  png += data;
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(png.data() + start),
                          static_cast<uInt>(png.size() - start));
  append_u32(png, static_cast<std::uint32_t>(crc));
}

}  // namespace

std::string png_of(const ImageView& image, std::int32_t zoom) {
  const auto channels = static_cast<std::size_t>(image.channels);
  const std::size_t stride = image.row_bytes == 0 ? image.width * channels : image.row_bytes;
  std::string rows;
  for (std::int32_t y = 0; y < image.height; ++y) {
    std::string row(1, '\0');  // no filter
    const std::uint8_t* at = image.pixels + static_cast<std::size_t>(y) * stride;
    for (std::int32_t x = 0; x < image.width; ++x, at += channels) {
      for (std::int32_t k = 0; k < zoom; ++k)
        row.append(reinterpret_cast<const char*>(at), channels);
    }
    for (std::int32_t k = 0; k < zoom; ++k) rows += row;
  }
  uLongf size = compressBound(rows.size());
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
            reinterpret_cast<const Bytef*>(rows.data()), rows.size(), Z_BEST_COMPRESSION);
  packed.resize(size);

  std::string header;
  append_u32(header, static_cast<std::uint32_t>(image.width * zoom));
  append_u32(header, static_cast<std::uint32_t>(image.height * zoom));
  header += std::string{8, image.channels == 1 ? '\0' : '\2', 0, 0, 0};  // bits, gray or RGB
  std::string png = "\x89PNG\r\n\x1A\n";
  append_chunk(png, "IHDR", header);
  append_chunk(png, "IDAT", packed);
  append_chunk(png, "IEND", "");
  return png;
}

}  // namespace qama::io
