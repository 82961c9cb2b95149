// BMP: every depth and direction comes back right; what is cut or contradicts itself is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "runtime/io/image.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

using test::Bytes;
using testing::ElementsAre;
using testing::HasSubstr;

void append(Bytes& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> 8 * i));
}

struct Kind {
  int width = 2, height = 2, bits = 24;
  std::uint32_t compression = 0;
  std::uint32_t header_bytes = 40;
  std::vector<std::uint32_t> masks = {};    ///< behind the header's first 40 bytes
  std::vector<std::uint32_t> palette = {};  ///< 0xRRGGBB
};

/// `rows` as they are stored, padded to multiples of 4 bytes.
Bytes bmp_file(const Kind& kind, const Bytes& rows) {
  Bytes out = {'B', 'M'};
  const bool old = kind.header_bytes == 12;
  Bytes rest;  // masks, the rest of a longer header, palette
  for (const std::uint32_t mask : kind.masks) append(rest, mask, 4);
  if (kind.header_bytes > 40) rest.resize(kind.header_bytes - 40);  // masks are in longer ones
  for (const std::uint32_t colour : kind.palette) append(rest, colour, old ? 3 : 4);
  const auto at = static_cast<std::uint32_t>(14 + (old ? 12 : 40) + rest.size());
  append(out, static_cast<std::uint32_t>(at + rows.size()), 4);
  append(out, 0, 4);
  append(out, at, 4);
  append(out, kind.header_bytes, 4);
  append(out, static_cast<std::uint32_t>(kind.width), old ? 2 : 4);
  append(out, static_cast<std::uint32_t>(kind.height), old ? 2 : 4);
  append(out, 1, 2);
  append(out, static_cast<std::uint32_t>(kind.bits), 2);
  if (!old) {
    append(out, kind.compression, 4);
    for (int i = 0; i < 3; ++i) append(out, 0, 4);
    append(out, static_cast<std::uint32_t>(kind.palette.size()), 4);
    append(out, 0, 4);
  }
  out.insert(out.end(), rest.begin(), rest.end());
  out.insert(out.end(), rows.begin(), rows.end());
  return out;
}

/// Two rows of two pixels, the lower first, as blue, green, red.
const Bytes kRows24 = {1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0};

TEST(Bmp, RowsFromTheBottomAndFromTheTop) {
  ASSERT_OK_AND_ASSIGN(const Image up, decode_image(bmp_file({}, kRows24), "a.bmp"));
  EXPECT_EQ(up.channels, 3);
  EXPECT_THAT(up.pixels, ElementsAre(9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4));
  Kind from_top;
  from_top.height = -2;
  ASSERT_OK_AND_ASSIGN(const Image down, decode_image(bmp_file(from_top, kRows24), "a.bmp"));
  EXPECT_THAT(down.pixels, ElementsAre(3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10));
  Kind old;
  old.header_bytes = 12;
  ASSERT_OK_AND_ASSIGN(const Image same, decode_image(bmp_file(old, kRows24), "a.bmp"));
  EXPECT_EQ(same.pixels, up.pixels);
}

TEST(Bmp, Palettes) {
  for (const int bits : {1, 4, 8}) {
    for (const std::uint32_t header : {12U, 40U}) {
      Kind kind;
      kind.height = 1;
      kind.bits = bits;
      kind.header_bytes = header;
      kind.palette = {0x010203, 0x040506};
      // The old header has no number of colours: its palette is whole.
      if (header == 12) kind.palette.resize(std::size_t{1} << bits);
      const Bytes row = bits == 8
                            ? Bytes{1, 0, 0, 0}
                            : Bytes{static_cast<std::uint8_t>(bits == 4 ? 0x10 : 0x80), 0, 0, 0};
      ASSERT_OK_AND_ASSIGN(const Image image, decode_image(bmp_file(kind, row), "a.bmp"));
      EXPECT_THAT(image.pixels, ElementsAre(4, 5, 6, 1, 2, 3)) << bits << " bits, " << header;
    }
  }
  Kind kind;
  kind.height = 1;
  kind.bits = 8;
  kind.palette = {1, 2};
  const auto beyond = decode_image(bmp_file(kind, {0, 2, 0, 0}), "a.bmp");
  EXPECT_ERROR(image_bad_format, beyond);
  EXPECT_THAT(beyond.error().message, HasSubstr("column 1 has colour 2 of a palette of 2"));
}

TEST(Bmp, SixteenAndThirtyTwoBits) {
  Kind kind;
  kind.width = 2;
  kind.height = 1;
  kind.bits = 16;  // 5 bits each: red 31, green 16; blue 1
  ASSERT_OK_AND_ASSIGN(const Image a,
                       decode_image(bmp_file(kind, {0x00, 0x7E, 0x01, 0x80}), "a.bmp"));
  EXPECT_THAT(a.pixels, ElementsAre(255, 132, 0, 0, 0, 8));
  kind.compression = 3;
  kind.masks = {0xF800, 0x07E0, 0x001F};
  ASSERT_OK_AND_ASSIGN(const Image b,
                       decode_image(bmp_file(kind, {0xE0, 0x07, 0x1F, 0xF8}), "a.bmp"));
  EXPECT_THAT(b.pixels, ElementsAre(0, 255, 0, 255, 0, 255));
  kind.bits = 32;
  kind.width = 1;
  kind.masks = {0xFF, 0xFF00, 0xFF0000};
  ASSERT_OK_AND_ASSIGN(const Image c, decode_image(bmp_file(kind, {1, 2, 3, 4}), "a.bmp"));
  EXPECT_THAT(c.pixels, ElementsAre(1, 2, 3));
  kind.masks = {0xFF00FF, 0xFF00, 0xFF0000};
  EXPECT_ERROR(image_bad_format, decode_image(bmp_file(kind, {1, 2, 3, 4}), "a.bmp"));
}

TEST(Bmp, AlphaCountsWhereItIsWritten) {
  Kind kind;
  kind.width = 2;
  kind.height = 1;
  kind.bits = 32;
  kind.compression = 3;
  kind.header_bytes = 56;
  kind.masks = {0xFF0000, 0xFF00, 0xFF, 0xFF000000};
  Bytes file = bmp_file(kind, {1, 2, 3, 0, 4, 5, 6, 200});
  ASSERT_OK_AND_ASSIGN(const Image image, decode_image(file, "a.bmp"));
  EXPECT_THAT(image.pixels, ElementsAre(3, 2, 1, 0, 6, 5, 4, 200));
  file.back() = 0;  // all of it 0: nobody wrote it
  ASSERT_OK_AND_ASSIGN(const Image opaque, decode_image(file, "a.bmp"));
  EXPECT_THAT(opaque.pixels, ElementsAre(3, 2, 1, 6, 5, 4));
}

TEST(Bmp, EveryTruncationIsRefused) {
  Kind kind;
  kind.bits = 8;
  kind.palette = {1, 2, 3};
  for (const Bytes& file : {bmp_file({}, kRows24), bmp_file(kind, {0, 1, 0, 0, 2, 1, 0, 0})}) {
    ASSERT_OK(decode_image(file, "whole"));
    for (std::size_t bytes = 0; bytes < file.size(); ++bytes) {
      EXPECT_FALSE(decode_image(std::span(file).first(bytes), "cut").ok()) << bytes;
    }
  }
}

TEST(Bmp, WhatItDoesNotReadIsNamed) {
  const auto refused = [](const Kind& kind) {
    const auto result = decode_image(bmp_file(kind, kRows24), "a.bmp");
    EXPECT_ERROR(image_bad_format, result);
    return result.ok() ? std::string() : result.error().message;
  };
  Kind kind;
  kind.compression = 1;
  EXPECT_THAT(refused(kind), HasSubstr("run lengths"));
  kind.compression = 5;
  EXPECT_THAT(refused(kind), HasSubstr("a PNG image"));
  kind.compression = 99;
  EXPECT_THAT(refused(kind), HasSubstr("compression 99"));
  kind = {};
  kind.bits = 7;
  EXPECT_THAT(refused(kind), HasSubstr("it has 7 bits a pixel"));
  kind.bits = 8;
  kind.palette.resize(300);
  EXPECT_THAT(refused(kind), HasSubstr("palette of 300"));
  kind = {};
  kind.width = -1;
  EXPECT_THAT(refused(kind), HasSubstr("expected at least 1 x 1"));
  kind.width = 60000;
  kind.height = 60000;
  EXPECT_ERROR(image_too_large, decode_image(bmp_file(kind, kRows24), "a.bmp"));
  kind.height = -2147483647 - 1;
  EXPECT_FALSE(decode_image(bmp_file(kind, kRows24), "a.bmp").ok());
}

}  // namespace
}  // namespace qama::io
