// WebP: pixels without loss come back, orientation is applied, and no file that is cut is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "runtime/io/image.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

#if QAMA_WITH_WEBP
#include <webp/encode.h>
#endif

namespace qama::io {
namespace {

using test::Bytes;
using testing::HasSubstr;

#if QAMA_WITH_WEBP

Bytes taken(std::uint8_t* data, std::size_t bytes) {
  Bytes out(data, data + bytes);
  WebPFree(data);
  return out;
}

Bytes lossless(int width, int height, int channels, const Bytes& pixels) {
  std::uint8_t* data = nullptr;
  const std::size_t bytes =
      channels == 4 ? WebPEncodeLosslessRGBA(pixels.data(), width, height, width * 4, &data)
                    : WebPEncodeLosslessRGB(pixels.data(), width, height, width * 3, &data);
  return taken(data, bytes);
}

Bytes lossy(int width, int height, const Bytes& rgb) {
  std::uint8_t* data = nullptr;
  const std::size_t bytes = WebPEncodeRGB(rgb.data(), width, height, width * 3, 95, &data);
  return taken(data, bytes);
}

void append_u32(Bytes& out, std::size_t value) {
  for (const int shift : {0, 8, 16, 24}) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

/// The picture of `webp` in the extended form, with an EXIF chunk (or flags alone) behind it.
Bytes extended(const Bytes& webp, int width, int height, std::uint8_t flags, const Bytes& exif) {
  Bytes out = {'R', 'I', 'F', 'F', 0, 0, 0, 0, 'W', 'E', 'B', 'P', 'V', 'P', '8', 'X'};
  append_u32(out, 10);
  append_u32(out, flags);
  for (const int side : {width - 1, height - 1}) {
    for (const int shift : {0, 8, 16}) out.push_back(static_cast<std::uint8_t>(side >> shift));
  }
  out.insert(out.end(), webp.begin() + 12, webp.end());
  out.insert(out.end(), {'E', 'X', 'I', 'F'});
  append_u32(out, exif.size());
  out.insert(out.end(), exif.begin(), exif.end());
  const std::size_t bytes = out.size() - 8;
  for (int i = 0; i < 4; ++i) out[4 + i] = static_cast<std::uint8_t>(bytes >> 8 * i);
  return out;
}

Bytes slope(int width, int height) {
  Bytes out;
  for (int i = 0; i < width * height; ++i) {
    out.push_back(static_cast<std::uint8_t>(4 * (i % width)));
    out.push_back(static_cast<std::uint8_t>(3 * (i / width)));
    out.push_back(90);
  }
  return out;
}

TEST(WebP, WithoutLossEveryPixelComesBack) {
  for (const int channels : {3, 4}) {
    Bytes pixels = test::sample_pixels(17, 9, channels);
    // Without alpha nothing is seen, and the encoder drops it.
    if (channels == 4) {
      for (std::size_t i = 3; i < pixels.size(); i += 4) pixels[i] |= 1;
    }
    ASSERT_OK_AND_ASSIGN(const Image image,
                         decode_image(lossless(17, 9, channels, pixels), "a.webp"));
    EXPECT_EQ(image.width, 17);
    EXPECT_EQ(image.channels, channels);
    EXPECT_EQ(image.pixels, pixels);
  }
}

TEST(WebP, LossyIsCloseToWhatWasWritten) {
  const Bytes pixels = slope(40, 24);
  ASSERT_OK_AND_ASSIGN(const Image image, decode_image(lossy(40, 24, pixels), "a.webp"));
  ASSERT_EQ(image.pixels.size(), pixels.size());
  for (std::size_t i = 0; i < pixels.size(); ++i) EXPECT_NEAR(image.pixels[i], pixels[i], 16) << i;
}

TEST(WebP, ExifTurnsIt) {
  const Bytes pixels = test::sample_pixels(3, 2, 3);
  const Bytes file = extended(lossless(3, 2, 3, pixels), 3, 2, 0x08, test::exif_data(6, false));
  ASSERT_OK_AND_ASSIGN(const Image image, decode_image(file, "a.webp"));
  EXPECT_EQ(image.width, 2);
  EXPECT_EQ(image.height, 3);
  // The stored top left pixel is at the top right.
  EXPECT_TRUE(std::equal(pixels.begin(), pixels.begin() + 3, image.pixels.begin() + 3));
}

TEST(WebP, EveryTruncationIsRefused) {
  for (const Bytes& file : {lossy(40, 24, slope(40, 24)), lossless(17, 9, 3, slope(17, 9))}) {
    for (std::size_t bytes = 0; bytes < file.size(); ++bytes) {
      EXPECT_ERROR(image_bad_format, decode_image(std::span(file).first(bytes), "cut.webp"));
    }
  }
}

TEST(WebP, FlippedBytesNeverDoMoreThanFail) {
  for (const Bytes& file : {lossy(40, 24, slope(40, 24)), lossless(17, 9, 3, slope(17, 9))}) {
    for (std::size_t at = 0; at < file.size(); ++at) {
      for (const int flip : {0x01, 0x10, 0x80, 0xFF}) {
        Bytes damaged = file;
        damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ flip);
        const auto result = decode_image(damaged, "flipped");
        if (result.ok()) {
          EXPECT_EQ(result->pixels.size(),
                    static_cast<std::size_t>(result->width) * result->height * result->channels);
        }
      }
    }
  }
}

TEST(WebP, AFilmIsRefusedByItsName) {
  const Bytes file = extended(lossless(3, 2, 3, test::sample_pixels(3, 2, 3)), 3, 2, 0x02, {});
  const auto result = decode_image(file, "a.webp");
  EXPECT_ERROR(image_bad_format, result);
  EXPECT_THAT(result.error().message, HasSubstr("animated"));
}

#else

TEST(WebP, IsRefusedByItsName) {
  const Bytes file = {'R', 'I', 'F', 'F', 4, 0, 0, 0, 'W', 'E', 'B', 'P'};
  const auto result = decode_image(file, "a.webp");
  EXPECT_ERROR(image_bad_format, result);
  EXPECT_THAT(result.error().message, HasSubstr("a WebP image, which this build does not read"));
}

#endif

}  // namespace
}  // namespace qama::io
