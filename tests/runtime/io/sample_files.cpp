#include "tests/runtime/io/sample_files.h"

#include <png.h>
#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

// jpeglib.h uses size_t and FILE without including their headers.
#include <jpeglib.h>

namespace qama::test {
namespace {

void append(png_structp png, png_bytep data, png_size_t size) {
  auto* out = static_cast<Bytes*>(png_get_io_ptr(png));
  out->insert(out->end(), data, data + size);
}

}  // namespace

Bytes sample_pixels(int width, int height, int channels) {
  Bytes out(static_cast<std::size_t>(width) * height * channels);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(i * i * 37 + 11);
  return out;
}

Bytes png_file(int width, int height, const PngKind& kind, const Bytes& rows) {
  Bytes out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &out, append, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height),
               kind.bits, kind.colour, kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> palette;
  for (std::size_t i = 0; i + 2 < kind.palette.size(); i += 3) {
    palette.push_back({kind.palette[i], kind.palette[i + 1], kind.palette[i + 2]});
  }
  if (!palette.empty()) png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  const Bytes& t = kind.transparency;
  if (!t.empty() && kind.colour == PNG_COLOR_TYPE_PALETTE) {
    png_set_tRNS(png, info, t.data(), static_cast<int>(t.size()), nullptr);
  } else if (!t.empty()) {
    const auto sample = [&](std::size_t i) {
      return 2 * i + 1 < t.size() ? static_cast<png_uint_16>(t[2 * i] << 8 | t[2 * i + 1])
                                  : png_uint_16{0};
    };
    const png_color_16 key{0, sample(0), sample(1), sample(2), sample(0)};
    png_set_tRNS(png, info, nullptr, 1, &key);
  }
  if (!kind.exif.empty()) {
    Bytes exif = kind.exif;
    png_set_eXIf_1(png, info, static_cast<png_uint_32>(exif.size()), exif.data());
  }
  png_write_info(png, info);
  const std::size_t row_bytes = png_get_rowbytes(png, info);
  std::vector<png_bytep> pointers;
  for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y) {
    pointers.push_back(const_cast<png_bytep>(rows.data() + y * row_bytes));
  }
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

Bytes png_file(int width, int height, int channels, const Bytes& pixels) {
  constexpr int kColours[] = {0, 4, 2, 6};
  PngKind kind;
  kind.colour = kColours[channels - 1];
  return png_file(width, height, kind, pixels);
}

Bytes jpeg_file(int width, int height, const JpegKind& kind, const Bytes& pixels) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* data = nullptr;
  unsigned long bytes = 0;
  jpeg_mem_dest(&jpeg, &data, &bytes);
  jpeg.image_width = static_cast<JDIMENSION>(width);
  jpeg.image_height = static_cast<JDIMENSION>(height);
  jpeg.input_components = kind.channels;
  jpeg.in_color_space = kind.channels == 1   ? JCS_GRAYSCALE
                        : kind.channels == 3 ? JCS_RGB
                                             : JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  if (kind.colour_space != 0) {
    jpeg_set_colorspace(&jpeg, static_cast<J_COLOR_SPACE>(kind.colour_space));
  }
  jpeg_set_quality(&jpeg, kind.quality, TRUE);
  if (!kind.halved) jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;
  if (kind.progressive) jpeg_simple_progression(&jpeg);
  jpeg.arith_code = kind.arithmetic ? TRUE : FALSE;
  jpeg.restart_in_rows = kind.restart;
  if (kind.jfif >= 0) jpeg.write_JFIF_header = kind.jfif != 0 ? TRUE : FALSE;
  if (kind.adobe >= 0) jpeg.write_Adobe_marker = kind.adobe != 0 ? TRUE : FALSE;
  jpeg_start_compress(&jpeg, TRUE);
  if (!kind.application.empty()) {
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, kind.application.data(),
                      static_cast<unsigned>(kind.application.size()));
  }
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(pixels.data()) +
                   std::size_t{jpeg.next_scanline} * width * kind.channels;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  Bytes out(data, data + bytes);
  std::free(data);
  return out;
}

Bytes jpeg_file(int width, int height, int channels, const Bytes& pixels) {
  JpegKind kind;
  kind.channels = channels;
  return jpeg_file(width, height, kind, pixels);
}

Bytes exif_data(int orientation, bool big_endian) {
  const auto value = static_cast<std::uint8_t>(orientation);
  if (big_endian) {
    return {'M', 'M', 0, 42, 0, 0, 0,     8, 0, 1, 0x01, 0x12, 0,
            3,   0,   0, 0,  1, 0, value, 0, 0, 0, 0,    0,    0};
  }
  return {'I', 'I', 42, 0, 8, 0,     0, 0, 1, 0, 0x12, 0x01, 3,
          0,   1,   0,  0, 0, value, 0, 0, 0, 0, 0,    0,    0};
}

Bytes idx_file(const std::vector<std::uint32_t>& sizes, const Bytes& data) {
  Bytes out = {0, 0, 8, static_cast<std::uint8_t>(sizes.size())};
  for (const std::uint32_t size : sizes) {
    for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<std::uint8_t>(size >> shift));
  }
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

Bytes npy_file_of(const std::string& dictionary, const Bytes& data) {
  std::string text = dictionary;
  while ((10 + text.size() + 1) % 64 != 0) text += ' ';
  text += '\n';
  Bytes out = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  out.push_back(static_cast<std::uint8_t>(text.size()));
  out.push_back(static_cast<std::uint8_t>(text.size() >> 8U));
  out.insert(out.end(), text.begin(), text.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

Bytes npy_file(const std::string& shape, const std::vector<float>& values) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
  return npy_file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }",
                     Bytes(bytes, bytes + values.size() * sizeof(float)));
}

Bytes gzipped(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes out(deflateBound(&stream, bytes.size()) + 64);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

void put_file(const std::string& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

void put_file(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary)
      .write(text.data(), static_cast<std::streamsize>(text.size()));
}

}  // namespace qama::test
