// PNG: every kind of it comes back with the right values, and every damaged byte is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

#include "runtime/io/image.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

using test::Bytes;
using test::PngKind;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kGray = 0, kRgb = 2, kPalette = 3, kGrayAlpha = 4, kRgba = 6;

void append_u32(Bytes& out, std::uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

void append_chunk(Bytes& png, std::string_view type, const Bytes& data) {
  append_u32(png, static_cast<std::uint32_t>(data.size()));
  const std::size_t from = png.size();
  png.insert(png.end(), type.begin(), type.end());
  png.insert(png.end(), data.begin(), data.end());
  append_u32(png, static_cast<std::uint32_t>(
                      crc32(0, png.data() + from, static_cast<uInt>(png.size() - from))));
}

/// Where the chunk of this type begins (its length field).
std::size_t chunk_at(const Bytes& png, std::string_view type) {
  const auto found = std::search(png.begin(), png.end(), type.begin(), type.end());
  return static_cast<std::size_t>(found - png.begin()) - 4;
}

/// `png` with another chunk before the one of type `before`.
Bytes with_chunk(const Bytes& png, std::string_view before, std::string_view type,
                 const Bytes& data) {
  const auto at = static_cast<std::ptrdiff_t>(chunk_at(png, before));
  Bytes out(png.begin(), png.begin() + at);
  append_chunk(out, type, data);
  out.insert(out.end(), png.begin() + at, png.end());
  return out;
}

Bytes deflated(const Bytes& bytes) {
  uLongf size = compressBound(bytes.size());
  Bytes out(size);
  compress2(out.data(), &size, bytes.data(), bytes.size(), 9);
  out.resize(size);
  return out;
}

/// A gray PNG with this header and these (still packed) rows.
Bytes raw_png(std::uint32_t width, std::uint32_t height, const Bytes& packed, int bits = 8,
              int colour = kGray, bool interlaced = false) {
  Bytes png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  Bytes header;
  append_u32(header, width);
  append_u32(header, height);
  header.insert(header.end(), {static_cast<std::uint8_t>(bits), static_cast<std::uint8_t>(colour),
                               0, 0, static_cast<std::uint8_t>(interlaced ? 1 : 0)});
  append_chunk(png, "IHDR", header);
  append_chunk(png, "IDAT", packed);
  append_chunk(png, "IEND", {});
  return png;
}

TEST(Png, KeepsEveryPixel) {
  for (const int channels : {1, 2, 3, 4}) {
    const Bytes pixels = test::sample_pixels(7, 5, channels);
    ASSERT_OK_AND_ASSIGN(const Image image,
                         decode_image(test::png_file(7, 5, channels, pixels), "a.png"));
    EXPECT_EQ(image.width, 7);
    EXPECT_EQ(image.height, 5);
    EXPECT_EQ(image.channels, channels);
    EXPECT_EQ(image.pixels, pixels);
  }
}

// 1, 2 and 4 bits: the samples of a byte from its highest bit on, stretched to 0 .. 255.
TEST(Png, FewBitsAreStretched) {
  for (const int bits : {1, 2, 4}) {
    PngKind kind;
    kind.bits = bits;
    ASSERT_OK_AND_ASSIGN(const Image image,
                         decode_image(test::png_file(8 / bits, 1, kind, {0xB4}), "a.png"));
    EXPECT_EQ(image.channels, 1);
    for (int i = 0; i < 8 / bits; ++i) {
      const int value = (0xB4 >> (8 - bits * (i + 1))) & ((1 << bits) - 1);
      EXPECT_EQ(image.pixels[i], value * 255 / ((1 << bits) - 1)) << bits << " bits, " << i;
    }
  }
}

TEST(Png, SixteenBitsAreRounded) {
  Bytes rows;
  for (int v = 0; v < 65536; ++v) {
    rows.push_back(static_cast<std::uint8_t>(v >> 8));
    rows.push_back(static_cast<std::uint8_t>(v));
  }
  for (const auto& [colour, channels] : {std::pair{kGray, 1}, {kGrayAlpha, 2}, {kRgba, 4}}) {
    PngKind kind;
    kind.bits = 16;
    kind.colour = colour;
    ASSERT_OK_AND_ASSIGN(const Image image,
                         decode_image(test::png_file(256 / channels, 256, kind, rows), "a.png"));
    EXPECT_EQ(image.channels, channels);
    ASSERT_EQ(image.pixels.size(), 65536U);
    for (int v = 0; v < 65536; ++v) ASSERT_EQ(image.pixels[v], (v * 255 + 32767) / 65535) << v;
  }
}

TEST(Png, PalettesOfEveryDepthAndTheirAlpha) {
  const Bytes palette = {10, 20, 30, 40, 50, 60};
  for (const int bits : {1, 2, 4, 8}) {
    PngKind kind;
    kind.bits = bits;
    kind.colour = kPalette;
    kind.palette = palette;
    // Pixels 0, 1.
    const Bytes rows = {static_cast<std::uint8_t>(bits == 8 ? 0 : 1 << (8 - 2 * bits)), 1};
    ASSERT_OK_AND_ASSIGN(const Image opaque,
                         decode_image(test::png_file(2, 1, kind, rows), "a.png"));
    EXPECT_EQ(opaque.channels, 3);
    EXPECT_EQ(opaque.pixels, palette);
    kind.transparency = {0};  // the first colour only; what tRNS does not list is opaque
    ASSERT_OK_AND_ASSIGN(const Image image,
                         decode_image(test::png_file(2, 1, kind, rows), "a.png"));
    EXPECT_EQ(image.channels, 4);
    EXPECT_THAT(image.pixels, ElementsAre(10, 20, 30, 0, 40, 50, 60, 255));
  }
}

TEST(Png, ColourKeysBecomeAlpha) {
  PngKind gray;
  gray.transparency = {0, 7};
  ASSERT_OK_AND_ASSIGN(const Image a, decode_image(test::png_file(2, 1, gray, {7, 8}), "a.png"));
  EXPECT_THAT(a.pixels, ElementsAre(7, 0, 8, 255));
  PngKind rgb;
  rgb.colour = kRgb;
  rgb.transparency = {0, 1, 0, 2, 0, 3};
  ASSERT_OK_AND_ASSIGN(const Image b,
                       decode_image(test::png_file(2, 1, rgb, {1, 2, 3, 1, 2, 4}), "a.png"));
  EXPECT_THAT(b.pixels, ElementsAre(1, 2, 3, 0, 1, 2, 4, 255));
  // With 16 bits the key is compared before it is scaled: 0x0700 and 0x0701 are both 7.
  PngKind deep;
  deep.bits = 16;
  deep.transparency = {7, 0};
  ASSERT_OK_AND_ASSIGN(const Image c,
                       decode_image(test::png_file(2, 1, deep, {7, 0, 7, 1}), "a.png"));
  EXPECT_THAT(c.pixels, ElementsAre(7, 0, 7, 255));
}

TEST(Png, InterlacedIsTheSamePicture) {
  for (const int colour : {kGray, kRgb, kPalette, kGrayAlpha, kRgba}) {
    for (const int bits : {1, 8, 16}) {
      if ((bits == 1 && colour != kGray && colour != kPalette) ||
          (bits == 16 && colour == kPalette)) {
        continue;
      }
      PngKind kind;
      kind.bits = bits;
      kind.colour = colour;
      if (colour == kPalette) kind.palette = test::sample_pixels(bits == 1 ? 2 : 256, 1, 3);
      const Bytes rows = test::sample_pixels(19, 13, 8);
      ASSERT_OK_AND_ASSIGN(const Image plain,
                           decode_image(test::png_file(19, 13, kind, rows), "plain"));
      kind.interlaced = true;
      ASSERT_OK_AND_ASSIGN(const Image same,
                           decode_image(test::png_file(19, 13, kind, rows), "interlaced"));
      EXPECT_EQ(plain.pixels, same.pixels) << colour << ", " << bits << " bits";
    }
  }
}

TEST(Png, ExifTurnsIt) {
  PngKind kind;
  const Bytes rows = {1, 2, 3, 4, 5, 6};  // two rows of three
  kind.exif = test::exif_data(6, true);
  ASSERT_OK_AND_ASSIGN(const Image image, decode_image(test::png_file(3, 2, kind, rows), "a.png"));
  EXPECT_EQ(image.width, 2);
  EXPECT_EQ(image.height, 3);
  EXPECT_THAT(image.pixels, ElementsAre(4, 1, 5, 2, 6, 3));
  // Behind the pixels, too.
  const Bytes plain = test::png_file(3, 2, 1, rows);
  ASSERT_OK_AND_ASSIGN(
      const Image late,
      decode_image(with_chunk(plain, "IEND", "eXIf", test::exif_data(6, false)), "a.png"));
  EXPECT_EQ(late.pixels, image.pixels);
}

TEST(Png, ChunksThatPixelsDoNotDependOnAreNoReasonToRefuse) {
  const Bytes png = test::png_file(7, 5, 3, test::sample_pixels(7, 5, 3));
  ASSERT_OK_AND_ASSIGN(const Image plain, decode_image(png, "a.png"));
  for (const std::string_view type :
       {"iCCP", "tEXt", "zTXt", "gAMA", "sRGB", "pHYs", "tIME", "bKGD", "eXIf", "vpAg", "raNd"}) {
    ASSERT_OK_AND_ASSIGN(const Image same,
                         decode_image(with_chunk(png, "IDAT", type, {1, 2, 3}), "b.png"));
    EXPECT_EQ(plain.pixels, same.pixels) << type;
    // Their damage is damage all the same.
    Bytes damaged = with_chunk(png, "IDAT", type, {1, 2, 3});
    ++damaged[chunk_at(damaged, type) + 8];
    EXPECT_ERROR(image_bad_format, decode_image(damaged, "b.png"));
  }
  // An unknown chunk that says that it matters.
  EXPECT_ERROR(image_bad_format, decode_image(with_chunk(png, "IDAT", "AbCD", {}), "b.png"));
}

TEST(Png, EveryTruncationIsRefused) {
  for (const bool interlaced : {false, true}) {
    PngKind kind;
    kind.colour = kRgb;
    kind.interlaced = interlaced;
    const Bytes png = test::png_file(9, 6, kind, test::sample_pixels(9, 6, 3));
    for (std::size_t bytes = 0; bytes < png.size(); ++bytes) {
      EXPECT_ERROR(image_bad_format, decode_image(std::span(png).first(bytes), "cut.png"));
    }
  }
}

TEST(Png, EveryFlippedByteIsRefused) {
  PngKind kind;
  kind.colour = kPalette;
  kind.palette = test::sample_pixels(256, 1, 3);
  kind.transparency = {1, 2, 3};
  kind.exif = test::exif_data(3, true);
  for (const Bytes& png : {test::png_file(9, 6, 3, test::sample_pixels(9, 6, 3)),
                           test::png_file(9, 6, kind, test::sample_pixels(9, 6, 1))}) {
    for (std::size_t at = 0; at < png.size(); ++at) {
      for (const int flip : {0x01, 0x20, 0x80, 0xFF}) {
        Bytes damaged = png;
        damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ flip);
        SCOPED_TRACE(testing::Message() << at << " " << flip);
        EXPECT_ERROR(image_bad_format, decode_image(damaged, "flipped"));
      }
    }
  }
}

// The CRCs are right, what is inside is not.
TEST(Png, DamageBehindRightChecksumsIsRefused) {
  const Bytes rows = {0, 1, 2, 0, 3, 4};  // a filter byte and two pixels, twice
  const Bytes packed = deflated(rows);
  EXPECT_OK(decode_image(raw_png(2, 2, packed), "right"));
  Bytes adler = packed;
  ++adler.back();
  EXPECT_ERROR(image_bad_format, decode_image(raw_png(2, 2, adler), "wrong Adler-32"));
  EXPECT_ERROR(image_bad_format, decode_image(raw_png(2, 3, packed), "a row is missing"));
  EXPECT_ERROR(image_bad_format, decode_image(raw_png(2, 1, packed), "a row too many"));
  EXPECT_ERROR(image_bad_format, decode_image(raw_png(2, 2, {}), "no data"));
  EXPECT_ERROR(image_bad_format,
               decode_image(raw_png(2, 2, deflated({9, 1, 2, 0, 3, 4})), "filter"));
  EXPECT_ERROR(image_bad_format, decode_image(raw_png(2, 2, packed, 7), "7 bits"));
  EXPECT_ERROR(image_bad_format, decode_image(raw_png(2, 2, packed, 8, kPalette), "no palette"));
  const Bytes palette =
      with_chunk(raw_png(2, 2, packed, 8, kPalette), "IDAT", "PLTE", {1, 2, 3, 4, 5, 6});
  const auto lacking = decode_image(palette, "a.png");
  EXPECT_ERROR(image_bad_format, lacking);
  EXPECT_THAT(lacking.error().message, HasSubstr("beyond its palette"));
  const Bytes right = with_chunk(raw_png(2, 2, packed, 8, kPalette), "IDAT", "PLTE", Bytes(15));
  EXPECT_OK(decode_image(right, "five colours"));
  EXPECT_ERROR(image_bad_format,
               decode_image(with_chunk(right, "IDAT", "tRNS", Bytes(6)), "six alphas"));
}

TEST(Png, SaysWhatIsWrong) {
  Bytes png = test::png_file(9, 6, 3, test::sample_pixels(9, 6, 3));
  const auto cut = decode_image(std::span(png).first(png.size() - 5), "a.png");
  EXPECT_ERROR(image_bad_format, cut);
  EXPECT_THAT(cut.error().message, HasSubstr("it is cut short"));
  ++png[chunk_at(png, "IEND") + 8];
  const auto crc = decode_image(png, "a.png");
  EXPECT_ERROR(image_bad_format, crc);
  EXPECT_THAT(crc.error().message, HasSubstr("CRC"));
}

TEST(Png, SizesAreBoundedBeforeDecoding) {
  EXPECT_ERROR(image_too_large, decode_image(raw_png(65536, 2, {}), "wide.png"));
  EXPECT_ERROR(image_too_large, decode_image(raw_png(30000, 30000, {}), "large.png"));
  EXPECT_ERROR(image_too_large, decode_image(raw_png(2000000000, 1, {}), "wider.png"));
  EXPECT_FALSE(decode_image(raw_png(0, 5, {}), "none.png").ok());
  const auto interlaced = decode_image(raw_png(8000, 8000, {}, 8, kGray, true), "a.png");
  EXPECT_ERROR(image_too_large, interlaced);
  EXPECT_THAT(interlaced.error().message, HasSubstr("for an interlaced PNG image"));
}

TEST(Png, BombIsRefused) {
  // 8 x 8 by its header; its data unpacks to 256 MB.
  const Bytes packed = deflated(Bytes(std::size_t{256} << 20));
  ASSERT_LT(packed.size(), std::size_t{1} << 20);
  EXPECT_ERROR(image_bad_format, decode_image(raw_png(8, 8, packed), "bomb.png"));
}

}  // namespace
}  // namespace qama::io
