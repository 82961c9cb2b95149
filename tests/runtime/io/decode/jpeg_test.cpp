// JPEG: colours and orientation come back right, and what is missing or damaged is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "runtime/io/image.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

using test::Bytes;
using test::JpegKind;
using testing::HasSubstr;

// libjpeg's numbers of what colours a file has.
constexpr int kColourRgb = 2, kColourYcck = 5;
constexpr std::uint8_t kApp0 = 0xE0, kApp14 = 0xEE;

/// Left to right red grows, downwards green, blue is even; soft enough for a small loss.
Bytes slope(int width, int height) {
  Bytes out;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      out.push_back(static_cast<std::uint8_t>(x * 255 / (width - 1)));
      out.push_back(static_cast<std::uint8_t>(y * 255 / (height - 1)));
      out.push_back(90);
    }
  }
  return out;
}

int largest_difference(const Bytes& a, const Bytes& b) {
  if (a.size() != b.size()) return 256;
  int out = 0;
  for (std::size_t i = 0; i < a.size(); ++i) out = std::max(out, std::abs(a[i] - b[i]));
  return out;
}

/// `jpeg` with a marker behind its start.
Bytes with_marker(const Bytes& jpeg, std::uint8_t marker, const Bytes& data) {
  Bytes out(jpeg.begin(), jpeg.begin() + 2);
  const std::size_t length = data.size() + 2;
  out.insert(out.end(), {0xFF, marker, static_cast<std::uint8_t>(length >> 8),
                         static_cast<std::uint8_t>(length)});
  out.insert(out.end(), data.begin(), data.end());
  out.insert(out.end(), jpeg.begin() + 2, jpeg.end());
  return out;
}

/// Where the marker is: the positions of its 0xFF.
std::vector<std::size_t> markers(const Bytes& jpeg, std::uint8_t marker) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i + 1 < jpeg.size(); ++i) {
    if (jpeg[i] == 0xFF && jpeg[i + 1] == marker) out.push_back(i);
  }
  return out;
}

constexpr std::uint8_t kStartOfScan = 0xDA;

TEST(Jpeg, IsCloseToWhatWasWritten) {
  const Bytes pixels = slope(40, 24);
  for (const bool progressive : {false, true}) {
    for (const bool arithmetic : {false, true}) {
      for (const bool halved : {false, true}) {
        for (const int restart : {0, 1}) {
          JpegKind kind;
          kind.progressive = progressive;
          kind.arithmetic = arithmetic;
          kind.halved = halved;
          kind.restart = restart;
          ASSERT_OK_AND_ASSIGN(const Image image,
                               decode_image(test::jpeg_file(40, 24, kind, pixels), "a.jpg"));
          EXPECT_EQ(image.width, 40);
          EXPECT_EQ(image.height, 24);
          EXPECT_EQ(image.channels, 3);
          EXPECT_LE(largest_difference(image.pixels, pixels), halved ? 16 : 6);
        }
      }
    }
  }
}

TEST(Jpeg, GrayIsOneChannel) {
  Bytes pixels;
  for (int i = 0; i < 24 * 40; ++i) pixels.push_back(static_cast<std::uint8_t>(4 * (i % 40)));
  ASSERT_OK_AND_ASSIGN(const Image image,
                       decode_image(test::jpeg_file(40, 24, 1, pixels), "a.jpg"));
  EXPECT_EQ(image.channels, 1);
  EXPECT_LE(largest_difference(image.pixels, pixels), 6);
}

// How colours are coded: JFIF means YCbCr, whatever else is there; without it Adobe's marker says
// so, and without both the components' names.
TEST(Jpeg, MarkersSayHowColoursAreCoded) {
  const Bytes pixels = slope(40, 24);
  const Bytes adobe_rgb = {'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, 0};
  const Bytes jfif = {'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0};
  JpegKind ycc;
  ycc.jfif = 0;
  ycc.adobe = 0;
  JpegKind rgb = ycc;
  rgb.colour_space = kColourRgb;
  const Bytes bare_ycc = test::jpeg_file(40, 24, ycc, pixels);
  const Bytes bare_rgb = test::jpeg_file(40, 24, rgb, pixels);
  for (const Bytes& file : {bare_ycc, with_marker(bare_ycc, kApp0, jfif), bare_rgb,
                            with_marker(bare_rgb, kApp14, adobe_rgb),
                            with_marker(with_marker(bare_ycc, kApp14, adobe_rgb), kApp0, jfif)}) {
    ASSERT_OK_AND_ASSIGN(const Image image, decode_image(file, "a.jpg"));
    EXPECT_LE(largest_difference(image.pixels, pixels), 8);
  }
  Bytes unknown = adobe_rgb;
  unknown.back() = 7;
  EXPECT_ERROR(image_bad_format, decode_image(with_marker(bare_ycc, kApp14, unknown), "a.jpg"));
}

TEST(Jpeg, InksBecomeRgb) {
  Bytes inks;     // cyan, magenta, yellow, black
  Bytes colours;  // what is left of white
  for (int i = 0; i < 32 * 32; ++i) {
    const int c = i % 32 * 4, m = i / 32 * 4, y = 60, k = 40;
    for (const int ink : {c, m, y, k}) inks.push_back(static_cast<std::uint8_t>(ink));
    for (const int ink : {c, m, y}) {
      colours.push_back(static_cast<std::uint8_t>(((255 - ink) * (255 - k) + 127) / 255));
    }
  }
  JpegKind kind;
  kind.channels = 4;
  kind.adobe = 0;
  ASSERT_OK_AND_ASSIGN(const Image plain, decode_image(test::jpeg_file(32, 32, kind, inks), "a"));
  EXPECT_EQ(plain.channels, 3);
  EXPECT_LE(largest_difference(plain.pixels, colours), 8);
  // Adobe's are stored inverted.
  for (std::uint8_t& ink : inks) ink = static_cast<std::uint8_t>(255 - ink);
  kind.adobe = 1;
  for (const int space : {0, kColourYcck}) {
    kind.colour_space = space;
    ASSERT_OK_AND_ASSIGN(const Image image, decode_image(test::jpeg_file(32, 32, kind, inks), "a"));
    EXPECT_LE(largest_difference(image.pixels, colours), 10) << space;
  }
}

TEST(Jpeg, ExifTurnsIt) {
  const Bytes pixels = slope(40, 24);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool big_endian : {false, true}) {
      JpegKind kind;
      kind.application = {'E', 'x', 'i', 'f', 0, 0};
      const Bytes exif = test::exif_data(orientation, big_endian);
      kind.application.insert(kind.application.end(), exif.begin(), exif.end());
      ASSERT_OK_AND_ASSIGN(const Image image,
                           decode_image(test::jpeg_file(40, 24, kind, pixels), "a.jpg"));
      ASSERT_EQ(image.width, orientation > 4 ? 24 : 40);
      ASSERT_EQ(image.height, orientation > 4 ? 40 : 24);
      // Where the stored picture's top left corner (red 0, green 0) and its top right one (255, 0)
      // are, as the EXIF standard describes them: row 0 is at the ..., column 0 at the ...
      const auto corner = [&](bool bottom, bool right, int channel) {
        const int x = right ? image.width - 1 : 0;
        const int y = bottom ? image.height - 1 : 0;
        return image.pixels[static_cast<std::size_t>(y * image.width + x) * 3 + channel];
      };
      struct Corner {
        bool bottom, right;
      };
      constexpr Corner kFirst[] = {{false, false}, {false, true}, {true, true}, {true, false},
                                   {false, false}, {false, true}, {true, true}, {true, false}};
      constexpr Corner kRowEnd[] = {{false, true}, {false, false}, {true, false}, {true, true},
                                    {true, false}, {true, true},   {false, true}, {false, false}};
      const Corner first = kFirst[orientation - 1];
      const Corner end = kRowEnd[orientation - 1];
      EXPECT_LT(corner(first.bottom, first.right, 0), 20) << orientation;
      EXPECT_LT(corner(first.bottom, first.right, 1), 20) << orientation;
      EXPECT_GT(corner(end.bottom, end.right, 0), 235) << orientation;
      EXPECT_LT(corner(end.bottom, end.right, 1), 20) << orientation;
    }
  }
}

TEST(Jpeg, EveryTruncationIsRefused) {
  for (const bool progressive : {false, true}) {
    JpegKind kind;
    kind.progressive = progressive;
    const Bytes jpeg = test::jpeg_file(17, 9, kind, test::sample_pixels(17, 9, 3));
    for (std::size_t bytes = 0; bytes < jpeg.size(); ++bytes) {
      EXPECT_ERROR(image_bad_format, decode_image(std::span(jpeg).first(bytes), "cut.jpg"));
    }
  }
}

// A file that was cut may have an end marker all the same: a writer that was interrupted adds it.
TEST(Jpeg, EveryTruncationWithAnEndMarkerIsRefused) {
  for (const bool progressive : {false, true}) {
    for (const int channels : {1, 3}) {
      for (const int restart : {0, 1}) {
        JpegKind kind;
        kind.channels = channels;
        kind.progressive = progressive;
        kind.restart = restart;
        const Bytes jpeg = test::jpeg_file(17, 9, kind, test::sample_pixels(17, 9, channels));
        for (std::size_t bytes = 2; bytes + 2 < jpeg.size(); ++bytes) {
          Bytes cut(jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(bytes));
          cut.insert(cut.end(), {0xFF, 0xD9});
          SCOPED_TRACE(testing::Message()
                       << bytes << " of " << jpeg.size() << ", progressive " << progressive);
          EXPECT_ERROR(image_bad_format, decode_image(cut, "cut.jpg"));
        }
      }
    }
  }
}

// Each scan is whole, but not all of them are there: libjpeg itself says nothing.
TEST(Jpeg, MissingScansAreRefused) {
  JpegKind kind;
  kind.progressive = true;
  const Bytes jpeg = test::jpeg_file(40, 24, kind, slope(40, 24));
  const std::vector<std::size_t> scans = markers(jpeg, kStartOfScan);
  ASSERT_GE(scans.size(), 5U);
  for (std::size_t i = 1; i < scans.size(); ++i) {
    // Tables for the scan stand before it: cut at the last one's end.
    std::size_t end = scans[i];
    const std::vector<std::size_t> tables = markers(jpeg, 0xC4);
    for (const std::size_t table : tables) {
      if (table > scans[i - 1] && table < end) end = table;
    }
    Bytes cut(jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(end));
    cut.insert(cut.end(), {0xFF, 0xD9});
    const auto result = decode_image(cut, "cut.jpg");
    SCOPED_TRACE(testing::Message() << i << " scans");
    EXPECT_ERROR(image_bad_format, result);
    EXPECT_THAT(result.error().message, HasSubstr("scans are missing")) << i << " scans";
  }
}

TEST(Jpeg, FlippedBytesNeverDoMoreThanFail) {
  for (const bool progressive : {false, true}) {
    JpegKind kind;
    kind.progressive = progressive;
    const Bytes file = test::jpeg_file(17, 9, kind, test::sample_pixels(17, 9, 3));
    for (std::size_t at = 0; at < file.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xFF}) {
        Bytes damaged = file;
        damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ flip);
        const auto result = decode_image(damaged, "flipped");
        if (result.ok()) {
          EXPECT_EQ(result->pixels.size(),
                    static_cast<std::size_t>(result->width) * result->height * result->channels);
        } else {
          EXPECT_FALSE(result.error().message.empty());
        }
      }
    }
  }
}

TEST(Jpeg, CommentsAndApplicationDataDoNotMatter) {
  const Bytes jpeg = test::jpeg_file(17, 9, 3, test::sample_pixels(17, 9, 3));
  // Application data that looks like a table of too many symbols and like the end of the image.
  Bytes padded =
      with_marker(jpeg, 0xE1, {0xFF, 0xC4, 0x10, 0x03, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xD9});
  padded = with_marker(padded, 0xFE, {'h', 'i'});
  // A telephone adds a film behind the picture.
  padded.insert(padded.end(), 100, 0x55);
  ASSERT_OK_AND_ASSIGN(const Image plain, decode_image(jpeg, "a.jpg"));
  ASSERT_OK_AND_ASSIGN(const Image same, decode_image(padded, "b.jpg"));
  EXPECT_EQ(plain.pixels, same.pixels);
}

TEST(Jpeg, HuffmanTableOfTooManySymbolsIsRefused) {
  Bytes jpeg = {0xFF, 0xD8, 0xFF, 0xC4, 0x10, 0x03, 0x00};
  jpeg.resize(jpeg.size() + 16 + 4080, 255);
  jpeg.insert(jpeg.end(), {0xFF, 0xD9});
  const auto result = decode_image(jpeg, "overrun.jpg");
  EXPECT_ERROR(image_bad_format, result);
  EXPECT_THAT(result.error().message, HasSubstr("Huffman"));
}

TEST(Jpeg, SizesAreBoundedBeforeDecoding) {
  for (const bool progressive : {false, true}) {
    JpegKind kind;
    kind.progressive = progressive;
    Bytes jpeg = test::jpeg_file(16, 16, kind, test::sample_pixels(16, 16, 3));
    const std::size_t frame = markers(jpeg, progressive ? 0xC2 : 0xC0).at(0);
    const auto put_size = [&](int height, int width) {
      jpeg[frame + 5] = static_cast<std::uint8_t>(height >> 8);
      jpeg[frame + 6] = static_cast<std::uint8_t>(height);
      jpeg[frame + 7] = static_cast<std::uint8_t>(width >> 8);
      jpeg[frame + 8] = static_cast<std::uint8_t>(width);
    };
    put_size(60000, 60000);
    EXPECT_ERROR(image_too_large, decode_image(jpeg, "large.jpg"));
    put_size(20000, 20000);
    const auto result = decode_image(jpeg, "large.jpg");
    if (progressive) {
      EXPECT_ERROR(image_too_large, result);
      EXPECT_THAT(result.error().message, HasSubstr("progressive JPEG of 20000 x 20000"));
    } else {
      EXPECT_ERROR(image_bad_format, result);
    }
  }
}

// A small file of very many scans over a large picture would take very long.
TEST(Jpeg, TooManyScansAreRefused) {
  JpegKind kind;
  kind.progressive = true;
  Bytes jpeg = test::jpeg_file(16, 16, kind, test::sample_pixels(16, 16, 3));
  const std::vector<std::size_t> scans = markers(jpeg, kStartOfScan);
  // The last scan refines; the same again changes bits, but is a legal scan for libjpeg.
  const Bytes last(jpeg.begin() + static_cast<std::ptrdiff_t>(scans.back()), jpeg.end() - 2);
  for (int i = 0; i < 200; ++i) jpeg.insert(jpeg.end() - 2, last.begin(), last.end());
  EXPECT_ERROR(image_bad_format, decode_image(jpeg, "scans.jpg"));
}

}  // namespace
}  // namespace qama::io
