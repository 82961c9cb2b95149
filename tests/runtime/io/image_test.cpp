// Decoding and fitting images: known pictures come back, and what is no picture is refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <string>

#include "runtime/io/image.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

using test::Bytes;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

Bytes text(std::string_view words) {
  return {words.begin(), words.end()};
}

void append_chunk(Bytes& png, std::string_view type, const Bytes& data) {
  const auto append_u32 = [&png](std::uint32_t value) {
    for (const int shift : {24, 16, 8, 0}) png.push_back(static_cast<std::uint8_t>(value >> shift));
  };
  append_u32(static_cast<std::uint32_t>(data.size()));
  png.insert(png.end(), type.begin(), type.end());
  png.insert(png.end(), data.begin(), data.end());
  append_u32(0);  // the decoder does not look at the checksum
}

Bytes deflated(const Bytes& bytes) {
  uLongf size = compressBound(bytes.size());
  Bytes out(size);
  compress2(out.data(), &size, bytes.data(), bytes.size(), 9);
  out.resize(size);
  return out;
}

/// A gray PNG with this header and these (still packed) rows.
Bytes raw_png(std::uint32_t width, std::uint32_t height, const Bytes& packed) {
  Bytes png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  Bytes header;
  for (const std::uint32_t size : {width, height}) {
    for (const int shift : {24, 16, 8, 0})
      header.push_back(static_cast<std::uint8_t>(size >> shift));
  }
  header.insert(header.end(), {8, 0, 0, 0, 0});
  append_chunk(png, "IHDR", header);
  append_chunk(png, "IDAT", packed);
  append_chunk(png, "IEND", {});
  return png;
}

TEST(DecodeImage, PngKeepsEveryPixel) {
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

TEST(DecodeImage, JpegIsCloseToWhatWasWritten) {
  Bytes pixels;
  for (int y = 0; y < 24; ++y) {
    for (int x = 0; x < 40; ++x) pixels.push_back(static_cast<std::uint8_t>(4 * x + 3 * y));
  }
  ASSERT_OK_AND_ASSIGN(const Image image,
                       decode_image(test::jpeg_file(40, 24, 1, pixels), "a.jpg"));
  ASSERT_EQ(image.width, 40);
  ASSERT_EQ(image.height, 24);
  ASSERT_OK_AND_ASSIGN(const Bytes gray, fit_image(image, 24, 40, 1));
  for (std::size_t i = 0; i < pixels.size(); ++i) EXPECT_NEAR(gray[i], pixels[i], 6) << i;
}

TEST(DecodeImage, PgmAndPpm) {
  ASSERT_OK_AND_ASSIGN(const Image gray, decode_image(text("P5 3 1\n255\nabc"), "a.pgm"));
  EXPECT_EQ(gray.channels, 1);
  EXPECT_THAT(gray.pixels, ElementsAre('a', 'b', 'c'));
  ASSERT_OK_AND_ASSIGN(const Image colour,
                       decode_image(text("P6\n# a comment\n1 2 # another\n255\nabcdef"), "a.ppm"));
  EXPECT_EQ(colour.channels, 3);
  EXPECT_EQ(colour.height, 2);
  EXPECT_THAT(colour.pixels, ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
}

TEST(DecodeImage, PgmOfSmallerRangeIsStretched) {
  Bytes bytes = text("P5 4 1 15\n");
  bytes.insert(bytes.end(), {0, 1, 15, 200});
  ASSERT_OK_AND_ASSIGN(const Image image, decode_image(bytes, "a.pgm"));
  EXPECT_THAT(image.pixels, ElementsAre(0, 17, 255, 255));
}

TEST(DecodeImage, FormatIsReadFromTheBytesNotTheName) {
  const Bytes png = test::png_file(3, 3, 1, test::sample_pixels(3, 3, 1));
  EXPECT_OK(decode_image(png, "picture.jpg"));
  EXPECT_ERROR(image_bad_format, decode_image(text("hello, I am a text\n"), "note.png"));
}

TEST(DecodeImage, RefusesWhatIsNoImage) {
  EXPECT_ERROR(image_bad_format, decode_image({}, "empty.png"));
  EXPECT_ERROR(image_bad_format, decode_image(text("P"), "p"));
  EXPECT_ERROR(image_bad_format, decode_image(text("BM6 a bitmap"), "a.bmp"));
  const auto ascii = decode_image(text("P2 1 1 255\n7\n"), "a.pgm");
  EXPECT_ERROR(image_bad_format, ascii);
  EXPECT_THAT(ascii.error().message, HasSubstr("expected P5 or P6"));
  const auto idx = decode_image(test::idx_file({1, 2, 2}, Bytes(4)), "train-images-idx3-ubyte");
  EXPECT_ERROR(image_bad_format, idx);
  EXPECT_THAT(idx.error().message, HasSubstr("FILE:INDEX"));
}

TEST(DecodeImage, RefusesDamagedPnm) {
  EXPECT_ERROR(image_bad_format, decode_image(text("P5 3 1 255\nab"), "short"));
  EXPECT_ERROR(image_bad_format, decode_image(text("P5 3 x 255\nabc"), "letters"));
  EXPECT_ERROR(image_bad_format, decode_image(text("P5 0 1 255\n"), "empty"));
  EXPECT_ERROR(image_bad_format, decode_image(text("P5 1 1 65535\nab"), "16 bits"));
  EXPECT_ERROR(image_bad_format, decode_image(text("P5 1 1 0\na"), "no range"));
  EXPECT_ERROR(image_bad_format, decode_image(text("P5 1 1 255"), "no data"));
  EXPECT_ERROR(image_bad_format, decode_image(text("P5 99999999999999999999 1 255\na"), "digits"));
  EXPECT_ERROR(image_too_large, decode_image(text("P5 100000 100000 255\na"), "large"));
  EXPECT_ERROR(image_too_large, decode_image(text("P6 16384 16384 255\na"), "large"));
}

TEST(DecodeImage, EveryTruncationOfAPngIsRefused) {
  const Bytes png = test::png_file(9, 6, 3, test::sample_pixels(9, 6, 3));
  // stb reads no IEND chunk before it has what it needs, so that its last 12 bytes may be missing.
  for (std::size_t bytes = 0; bytes + 12 < png.size(); ++bytes) {
    EXPECT_FALSE(decode_image(std::span(png).first(bytes), "cut.png").ok()) << bytes;
  }
}

TEST(DecodeImage, EveryTruncationOfAJpegIsRefused) {
  const Bytes jpeg = test::jpeg_file(17, 9, 3, test::sample_pixels(17, 9, 3));
  for (std::size_t bytes = 0; bytes + 1 < jpeg.size(); ++bytes) {
    EXPECT_ERROR(image_bad_format, decode_image(std::span(jpeg).first(bytes), "cut.jpg"));
  }
}

TEST(DecodeImage, FlippedBytesNeverDoMoreThanFail) {
  for (const Bytes& file : {test::png_file(9, 6, 3, test::sample_pixels(9, 6, 3)),
                            test::jpeg_file(17, 9, 3, test::sample_pixels(17, 9, 3))}) {
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

TEST(DecodeImage, HuffmanTableOfTooManySymbolsIsRefused) {
  // A DHT segment of 4080 symbols, which stb up to 2.27 writes past its tables for.
  Bytes jpeg = {0xFF, 0xD8, 0xFF, 0xC4, 0x10, 0x03, 0x00};
  jpeg.insert(jpeg.end(), 16 + 4080, 255);
  jpeg.insert(jpeg.end(), {0xFF, 0xD9});
  const auto result = decode_image(jpeg, "overrun.jpg");
  EXPECT_ERROR(image_bad_format, result);
  EXPECT_THAT(result.error().message, HasSubstr("Huffman"));
}

TEST(DecodeImage, JpegCommentsAndApplicationDataAreIgnored) {
  const Bytes jpeg = test::jpeg_file(17, 9, 3, test::sample_pixels(17, 9, 3));
  Bytes padded(jpeg.begin(), jpeg.begin() + 2);
  // Application data that looks like a table of too many symbols and like the end of the image.
  padded.insert(padded.end(), {0xFF, 0xE1, 0x00, 0x0C, 0xFF, 0xC4, 0x10, 0x03, 0x00, 0xFF, 0xFF,
                               0xFF, 0xFF, 0xD9});
  padded.insert(padded.end(), {0xFF, 0xFE, 0x00, 0x04, 'h', 'i'});
  padded.insert(padded.end(), jpeg.begin() + 2, jpeg.end());
  ASSERT_OK_AND_ASSIGN(const Image plain, decode_image(jpeg, "a.jpg"));
  ASSERT_OK_AND_ASSIGN(const Image same, decode_image(padded, "b.jpg"));
  EXPECT_EQ(plain.pixels, same.pixels);
}

TEST(DecodeImage, HeaderSizesAreBoundedBeforeDecoding) {
  EXPECT_ERROR(image_too_large, decode_image(raw_png(16384, 16384, {}), "wide.png"));
  EXPECT_FALSE(decode_image(raw_png(2000000000, 1, {}), "wider.png").ok());
  EXPECT_FALSE(decode_image(raw_png(0, 5, {}), "none.png").ok());
}

TEST(DecodeImage, BombIsRefusedWithoutUnpackingIt) {
  // 8 x 8 by its header; its data unpacks to 256 MB, which the budget of some MB must stop.
  const Bytes packed = deflated(Bytes(std::size_t{256} << 20));
  ASSERT_LT(packed.size(), std::size_t{1} << 20);
  EXPECT_ERROR(image_bad_format, decode_image(raw_png(8, 8, packed), "bomb.png"));
}

TEST(FitImage, EqualsPillowsBilinear) {
  // python3: PIL.Image 9.4, mode L, (i * i * 37 + 11) % 256, resize(..., BILINEAR).
  const Image image{7, 5, 1, test::sample_pixels(7, 5, 1)};
  struct Case {
    int width, height;
    std::vector<int> pillow;
  };
  const Case cases[] = {
      {3, 2, {85, 134, 145, 144, 126, 118}},
      {3, 8, {59,  108, 114, 70,  125, 137, 86,  147, 165, 94,  150, 155,
              132, 139, 147, 201, 113, 141, 150, 118, 96,  104, 124, 61}},
      {10, 8, {11,  31,  76,  153, 113, 89,  95,  149, 121, 63,  20,  42,  88,  167, 129, 107,
               115, 170, 144, 88,  36,  60,  104, 176, 149, 135, 145, 192, 171, 126, 75,  101,
               109, 71,  142, 187, 192, 129, 143, 188, 128, 156, 146, 54,  125, 172, 179, 120,
               136, 183, 193, 223, 216, 127, 97,  90,  108, 163, 151, 111, 139, 171, 166, 79,
               135, 126, 53,  122, 109, 63,  91,  125, 122, 37,  167, 160, 16,  87,  76,  31}},
  };
  for (const Case& c : cases) {
    ASSERT_OK_AND_ASSIGN(const Bytes fitted, fit_image(image, c.height, c.width, 1));
    ASSERT_EQ(fitted.size(), c.pillow.size());
    // Pillow rounds to bytes between the two passes.
    for (std::size_t i = 0; i < fitted.size(); ++i) EXPECT_NEAR(fitted[i], c.pillow[i], 1) << i;
  }
}

TEST(FitImage, ColourToGrayEqualsPillow) {
  Image image{4, 3, 3, {}};
  for (int i = 0; i < 12; ++i) {
    image.pixels.push_back(static_cast<std::uint8_t>(i * 53));
    image.pixels.push_back(static_cast<std::uint8_t>(i * 97 + 5));
    image.pixels.push_back(static_cast<std::uint8_t>(i * 29 + 200));
  }
  ASSERT_OK_AND_ASSIGN(const Bytes gray, fit_image(image, 3, 4, 1));
  EXPECT_THAT(gray, ElementsAreArray({26, 102, 149, 75, 151, 150, 76, 152, 78, 154, 154, 50}));
  ASSERT_OK_AND_ASSIGN(const Bytes small, fit_image(image, 2, 2, 3));
  const int pillow[] = {63, 110, 145, 105, 125, 77, 145, 115, 154, 73, 130, 130};
  for (std::size_t i = 0; i < small.size(); ++i) EXPECT_NEAR(small[i], pillow[i], 1) << i;
}

TEST(FitImage, RightImageComesOutUnchanged) {
  const Image image{7, 5, 3, test::sample_pixels(7, 5, 3)};
  ASSERT_OK_AND_ASSIGN(const Bytes same, fit_image(image, 5, 7, 3));
  EXPECT_EQ(same, image.pixels);
}

TEST(FitImage, AlphaIsDroppedAndGrayRepeated) {
  ASSERT_OK_AND_ASSIGN(const Bytes from_rgba, fit_image({1, 1, 4, {1, 2, 3, 0}}, 1, 1, 3));
  EXPECT_THAT(from_rgba, ElementsAre(1, 2, 3));
  ASSERT_OK_AND_ASSIGN(const Bytes from_gray_alpha, fit_image({1, 1, 2, {9, 0}}, 1, 1, 3));
  EXPECT_THAT(from_gray_alpha, ElementsAre(9, 9, 9));
}

TEST(FitImage, ConstantStaysConstantAtEverySize) {
  const Image image{13, 11, 1, Bytes(13 * 11, 200)};
  for (const int size : {1, 2, 5, 12, 28, 64}) {
    ASSERT_OK_AND_ASSIGN(const Bytes out, fit_image(image, size, size, 1));
    EXPECT_THAT(out, testing::Each(200)) << size;
  }
}

// Rows that lie further apart than they are long: a part of a larger image, or padded rows.
TEST(FitImage, RowsMayLieApart) {
  for (const int channels : {1, 2, 3, 4}) {
    const Image image{7, 5, channels, test::sample_pixels(7, 5, channels)};
    const std::size_t row = 7U * channels;
    Bytes padded(5 * (row + 11), 255);
    for (std::size_t y = 0; y < 5; ++y) {
      std::copy_n(image.pixels.begin() + static_cast<std::ptrdiff_t>(y * row), row,
                  padded.begin() + static_cast<std::ptrdiff_t>(y * (row + 11)));
    }
    const ImageView view(padded.data(), 7, 5, channels, row + 11);
    for (const auto& [height, width] : {std::pair{5, 7}, {3, 4}, {9, 20}}) {
      for (const int to : {1, 3}) {
        ASSERT_OK_AND_ASSIGN(const Bytes expected, fit_image(image, height, width, to));
        Bytes out(expected.size());
        ASSERT_OK(fit_image(view, height, width, to, out));
        EXPECT_EQ(out, expected) << channels << " to " << to << ", " << height << " x " << width;
      }
    }
  }
}

TEST(FitImage, RefusesViewsThatCannotBe) {
  const Bytes pixels(64);
  Bytes out(4);
  EXPECT_ERROR(invalid_argument, fit_image(ImageView(nullptr, 2, 2, 1), 2, 2, 1, out));
  EXPECT_ERROR(invalid_argument, fit_image(ImageView(pixels.data(), -1, 2, 1), 2, 2, 1, out));
  EXPECT_ERROR(invalid_argument, fit_image(ImageView(pixels.data(), 2, 2, 3, 5), 2, 2, 1, out));
  EXPECT_ERROR(invalid_argument, fit_image(ImageView(pixels.data(), 2, 2, 1), 2, 3, 1, out));
  EXPECT_ERROR(image_too_large, fit_image(ImageView(pixels.data(), 16385, 1, 1), 2, 2, 1, out));
  EXPECT_ERROR(image_too_large, fit_image(ImageView(pixels.data(), 16000, 16000, 1), 2, 2, 1, out));
}

TEST(FitImage, RefusesSizesThatDoNotAgree) {
  EXPECT_ERROR(invalid_argument, fit_image({2, 2, 1, Bytes(3)}, 1, 1, 1));
  EXPECT_ERROR(invalid_argument, fit_image({0, 0, 1, {}}, 1, 1, 1));
  EXPECT_ERROR(invalid_argument, fit_image({1, 1, 5, Bytes(5)}, 1, 1, 1));
  EXPECT_ERROR(invalid_argument, fit_image({1, 1, 1, Bytes(1)}, 0, 1, 1));
  EXPECT_ERROR(invalid_argument, fit_image({1, 1, 1, Bytes(1)}, 1, 1, 2));
}

}  // namespace
}  // namespace qama::io
