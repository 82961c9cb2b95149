// TIFF: gray, colours, alpha and 16 bits come back, orientation is applied, damage is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "hal/platform/file.h"
#include "runtime/io/image.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

#if QAMA_WITH_TIFF
#include <tiffio.h>
#endif

namespace qama::io {
namespace {

using test::Bytes;
using testing::ElementsAre;
using testing::HasSubstr;

#if QAMA_WITH_TIFF

struct Kind {
  int bits = 8, samples = 1;
  int orientation = 1;
  int compression = COMPRESSION_NONE;
  int extra = -1;  ///< what the last sample is: EXTRASAMPLE_...
};

Bytes tiff_file(int width, int height, const Kind& kind, const Bytes& rows) {
  const test::TempDir directory;
  const std::string path = directory.file("a.tif");
  TIFF* tiff = TIFFOpen(path.c_str(), "w");
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, width);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, height);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, kind.bits);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, kind.samples);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, kind.compression);
  TIFFSetField(tiff, TIFFTAG_ORIENTATION, kind.orientation);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC,
               kind.samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK);
  if (kind.extra >= 0) {
    const auto extra = static_cast<std::uint16_t>(kind.extra);
    TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &extra);
  }
  Bytes copy = rows;
  const std::size_t row_bytes = rows.size() / static_cast<std::size_t>(height);
  for (int y = 0; y < height; ++y) {
    TIFFWriteScanline(tiff, copy.data() + row_bytes * y, static_cast<std::uint32_t>(y), 0);
  }
  TIFFClose(tiff);
  const auto bytes = platform::read_file(path, kMaxImageFileBytes, ErrorCode::image_too_large);
  EXPECT_OK(bytes);
  return bytes.ok() ? *bytes : Bytes{};
}

TEST(Tiff, EveryPixelComesBack) {
  for (const int samples : {1, 3}) {
    for (const int compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE}) {
      Kind kind;
      kind.samples = samples;
      kind.compression = compression;
      const Bytes pixels = test::sample_pixels(7, 5, samples);
      ASSERT_OK_AND_ASSIGN(const Image image, decode_image(tiff_file(7, 5, kind, pixels), "a.tif"));
      EXPECT_EQ(image.width, 7);
      EXPECT_EQ(image.channels, samples);
      EXPECT_EQ(image.pixels, pixels);
    }
  }
}

TEST(Tiff, SixteenBitsAreRounded) {
  std::vector<std::uint16_t> values(65536);
  for (std::size_t v = 0; v < values.size(); ++v) values[v] = static_cast<std::uint16_t>(v);
  const auto* data = reinterpret_cast<const std::uint8_t*>(values.data());
  Kind kind;
  kind.bits = 16;
  ASSERT_OK_AND_ASSIGN(const Image image,
                       decode_image(tiff_file(256, 256, kind, {data, data + 131072}), "a.tif"));
  ASSERT_EQ(image.pixels.size(), 65536U);
  for (int v = 0; v < 65536; ++v) ASSERT_EQ(image.pixels[v], (v * 255 + 32767) / 65535) << v;
}

TEST(Tiff, AlphaIsKept) {
  Kind kind;
  kind.samples = 4;
  kind.extra = EXTRASAMPLE_UNASSALPHA;
  ASSERT_OK_AND_ASSIGN(
      const Image image,
      decode_image(tiff_file(3, 1, kind, {10, 20, 30, 255, 1, 2, 3, 0, 100, 150, 200, 128}), "a"));
  EXPECT_EQ(image.channels, 4);
  EXPECT_THAT(std::vector<int>(image.pixels.begin(), image.pixels.begin() + 8),
              ElementsAre(10, 20, 30, 255, 0, 0, 0, 0));
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(image.pixels[8 + c], 100 + 50 * c, 1);
  EXPECT_EQ(image.pixels[11], 128);
}

TEST(Tiff, EightOrientations) {
  const std::vector<int> expected[] = {{1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1},
                                       {4, 5, 6, 1, 2, 3}, {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3},
                                       {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    Kind kind;
    kind.orientation = orientation;
    ASSERT_OK_AND_ASSIGN(const Image image,
                         decode_image(tiff_file(3, 2, kind, {1, 2, 3, 4, 5, 6}), "a.tif"));
    EXPECT_THAT(image.pixels, testing::ElementsAreArray(expected[orientation - 1])) << orientation;
  }
}

TEST(Tiff, DamageIsRefusedAndNeverDoesMore) {
  Kind kind;
  kind.samples = 3;
  kind.compression = COMPRESSION_ADOBE_DEFLATE;
  const Bytes tiff = tiff_file(7, 5, kind, test::sample_pixels(7, 5, 3));
  // The directory is at the end.
  for (std::size_t bytes = 0; bytes + 8 < tiff.size(); ++bytes) {
    EXPECT_ERROR(image_bad_format, decode_image(std::span(tiff).first(bytes), "cut.tif"));
  }
  for (std::size_t at = 0; at < tiff.size(); ++at) {
    for (const int flip : {0x01, 0x10, 0x80, 0xFF}) {
      Bytes damaged = tiff;
      damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ flip);
      const auto result = decode_image(damaged, "flipped");
      if (result.ok()) {
        EXPECT_EQ(result->pixels.size(),
                  static_cast<std::size_t>(result->width) * result->height * result->channels);
      }
    }
  }
}

#else

TEST(Tiff, IsRefusedByItsName) {
  const auto result = decode_image(Bytes{'I', 'I', '*', 0, 8, 0, 0, 0}, "a.tif");
  EXPECT_ERROR(image_bad_format, result);
  EXPECT_THAT(result.error().message, HasSubstr("a TIFF image, which this build does not read"));
}

#endif

}  // namespace
}  // namespace qama::io
