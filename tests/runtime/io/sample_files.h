// Small files for tests: images as libpng and libjpeg write them, IDX with and without gzip.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qama::test {

using Bytes = std::vector<std::uint8_t>;

/// A picture whose pixel i (counting channels) is (i * i * 37 + 11) % 256.
[[nodiscard]] Bytes sample_pixels(int width, int height, int channels);
/// 8 bits a sample, 1 to 4 channels.
[[nodiscard]] Bytes png_file(int width, int height, int channels, const Bytes& pixels);
/// Gray or RGB, of quality 95, colours not halved.
[[nodiscard]] Bytes jpeg_file(int width, int height, int channels, const Bytes& pixels);

struct PngKind {
  int bits = 8;
  int colour = 0;  ///< the number in the file: 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGBA
  bool interlaced = false;
  Bytes palette;       ///< RGB each
  Bytes transparency;  ///< what tRNS has: alphas of a palette, or a colour's samples of two bytes
                       ///< each
  Bytes exif;          ///< what eXIf has
};
/// `rows`: as PNG stores them, several pixels a byte where `bits` are less than 8, 16 bits in two.
[[nodiscard]] Bytes png_file(int width, int height, const PngKind& kind, const Bytes& rows);

struct JpegKind {
  int channels = 3;      ///< of the pixels given: 1 gray, 3 RGB, 4 CMYK
  int colour_space = 0;  ///< libjpeg's J_COLOR_SPACE in the file; 0: what is usual for the channels
  int quality = 95;
  bool halved = false;  ///< colours at half the size
  bool progressive = false;
  bool arithmetic = false;
  int restart = 0;    ///< rows of blocks between restart markers; 0: none
  int jfif = -1;      ///< 0 or 1: without or with JFIF marker; -1: what is usual
  int adobe = -1;     ///< the same of Adobe's
  Bytes application;  ///< what an APP1 marker has
};
[[nodiscard]] Bytes jpeg_file(int width, int height, const JpegKind& kind, const Bytes& pixels);
/// EXIF data (TIFF header and one directory) that says this orientation and no more.
[[nodiscard]] Bytes exif_data(int orientation, bool big_endian);

/// IDX of unsigned bytes with these sizes.
[[nodiscard]] Bytes idx_file(const std::vector<std::uint32_t>& sizes, const Bytes& data);
/// A .npy file of version 1.0 with this dictionary, padded as NumPy does.
[[nodiscard]] Bytes npy_file_of(const std::string& dictionary, const Bytes& data);
/// Floats in C order; `shape` as in Python: "2, 3".
[[nodiscard]] Bytes npy_file(const std::string& shape, const std::vector<float>& values);
[[nodiscard]] Bytes gzipped(const Bytes& bytes);

void put_file(const std::string& path, const Bytes& bytes);
void put_file(const std::string& path, std::string_view text);

}  // namespace qama::test
