// PBM, PGM and PPM: each of the six types, headers by netpbm's book, and what is refused with its
// place.
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

Bytes text(std::string_view words) {
  return {words.begin(), words.end()};
}

/// The sentence that refuses it.
std::string refusal(std::string_view words) {
  const auto result = decode_image(text(words), "a.pnm");
  EXPECT_ERROR(image_bad_format, result);
  return result.ok() ? "" : result.error().message;
}

std::vector<int> pixels(std::string_view words) {
  const auto result = decode_image(text(words), "a.pnm");
  EXPECT_OK(result);
  return result.ok() ? std::vector<int>(result->pixels.begin(), result->pixels.end())
                     : std::vector<int>();
}

TEST(Pnm, AllSixTypes) {
  EXPECT_THAT(pixels("P1 3 2\n0 1 0\n1 1 0\n"), ElementsAre(255, 0, 255, 0, 0, 255));
  EXPECT_THAT(pixels("P2 3 1\n255\n1 2 3\n"), ElementsAre(1, 2, 3));
  EXPECT_THAT(pixels("P3 2 1\n255\n1 2 3 4 5 6"), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(pixels("P4 3 2\n\x5F\xBF"), ElementsAre(255, 0, 255, 0, 255, 0));
  EXPECT_THAT(pixels("P5 3 1\n255\nabc"), ElementsAre('a', 'b', 'c'));
  EXPECT_THAT(pixels("P6 1 2\n255\nabcdef"), ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
  ASSERT_OK_AND_ASSIGN(const Image colour, decode_image(text("P6 1 2\n255\nabcdef"), "a.ppm"));
  EXPECT_EQ(colour.channels, 3);
  EXPECT_EQ(colour.width, 1);
  EXPECT_EQ(colour.height, 2);
}

TEST(Pnm, BitsOfATextNeedNoSpace) {
  EXPECT_THAT(pixels("P1\n3 2\n010\n110"), ElementsAre(255, 0, 255, 0, 0, 255));
  EXPECT_THAT(pixels("P1 3 2 010110"), ElementsAre(255, 0, 255, 0, 0, 255));
}

// A row of a PBM begins with a byte of its own.
TEST(Pnm, RowsOfBitsArePadded) {
  EXPECT_THAT(pixels("P4 9 2\n\xFF\x7F\xFE\x80"),
              ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 255, 0));
}

TEST(Pnm, OtherRangesAreStretched) {
  EXPECT_THAT(pixels(std::string_view("P5 3 1 15\n\0\1\17", 13)), ElementsAre(0, 17, 255));
  EXPECT_THAT(pixels("P2 4 1 1000 0 2 500 1000"), ElementsAre(0, 1, 128, 255));
  // 16 bits, the higher byte first.
  EXPECT_THAT(pixels(std::string_view("P5 3 1 65535\n\0\x80\0\x81\xFF\xFF", 19)),
              ElementsAre(0, 1, 255));
  EXPECT_THAT(pixels(std::string_view("P6 1 1 256\n\1\0\0\1\0\x80", 17)), ElementsAre(255, 1, 128));
}

TEST(Pnm, SixteenBitsAreRounded) {
  Bytes file = text("P5 256 256 65535\n");
  for (int v = 0; v < 65536; ++v) {
    file.push_back(static_cast<std::uint8_t>(v >> 8));
    file.push_back(static_cast<std::uint8_t>(v));
  }
  ASSERT_OK_AND_ASSIGN(const Image image, decode_image(file, "a.pgm"));
  for (int v = 0; v < 65536; ++v) ASSERT_EQ(image.pixels[v], (v * 255 + 32767) / 65535) << v;
}

TEST(Pnm, Comments) {
  EXPECT_THAT(pixels("P6\n# a comment\n1 2 # another\n255\nabcdef"),
              ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
  EXPECT_THAT(pixels("P5#at once\r2#in the middle\n1\n#P5\n255\nab"), ElementsAre('a', 'b'));
  // Pixels are no comment.
  EXPECT_THAT(pixels("P5 2 1 255\n#\n"), ElementsAre('#', '\n'));
  EXPECT_THAT(pixels("P2 2 1 255 # light\n200 # and dark\n3"), ElementsAre(200, 3));
}

TEST(Pnm, LineEndsOfOtherSystems) {
  // CR LF everywhere: the file's length says that both belong to the header.
  EXPECT_THAT(pixels("P5\r\n3 1\r\n255\r\nabc"), ElementsAre('a', 'b', 'c'));
  EXPECT_THAT(pixels("P2\r\n3 1\r\n255\r\n1 2\r\n3\r\n"), ElementsAre(1, 2, 3));
  EXPECT_THAT(pixels("P5\r3 1\r255\rabc"), ElementsAre('a', 'b', 'c'));
  // One byte of white space, and the first pixel is 10: the length says that, too.
  EXPECT_THAT(pixels("P5 3 1 255\r\nbc"), ElementsAre('\n', 'b', 'c'));
  EXPECT_THAT(pixels("P5 3 1 255\n\nbc"), ElementsAre('\n', 'b', 'c'));
  // Two bytes too many may be one at each end.
  EXPECT_THAT(refusal("P5\r\n3 1\r\n255\r\nabc\r\n"), HasSubstr("CR LF"));
  EXPECT_THAT(refusal("P5\r\n3 1\r\n255\r\nabcd"), HasSubstr("CR LF"));
  EXPECT_THAT(refusal("P5 3 1 255\n\nabc"), HasSubstr("behind its pixels"));
}

TEST(Pnm, FirstOfSeveralPictures) {
  EXPECT_THAT(pixels("P5 3 1 255\nabcP5 1 1 255\nd"), ElementsAre('a', 'b', 'c'));
  EXPECT_THAT(pixels("P5 3 1 255\nabc\n"), ElementsAre('a', 'b', 'c'));
  EXPECT_THAT(refusal("P5 3 1 255\nabcde"),
              HasSubstr("2 bytes behind its pixels, from byte 14 on"));
  EXPECT_THAT(refusal("P2 2 1 255\n1 2 3"), HasSubstr("behind its last pixel, at byte 15"));
}

TEST(Pnm, EveryTruncationIsRefused) {
  for (const std::string_view file :
       {"P1 3 2\n0 1 0\n1 1 0", "P2 3 1\n255\n1 2 3", "P3 2 1\n255\n1 2 3 4 5 6",
        "P4 3 2\n\x5F\xBF", "P5 3 1\n255\nabc", "P6 1 2\n255\nabcdef"}) {
    ASSERT_FALSE(pixels(file).empty());
    for (std::size_t bytes = 0; bytes < file.size(); ++bytes) {
      SCOPED_TRACE(testing::Message() << file << ", " << bytes);
      EXPECT_ERROR(image_bad_format, decode_image(text(file.substr(0, bytes)), "cut"));
    }
  }
}

TEST(Pnm, DamageIsRefusedWithItsPlace) {
  EXPECT_THAT(refusal("P5 3 1 255\nab"), HasSubstr("it has 2 bytes of pixels, expected 3"));
  EXPECT_THAT(refusal("P5 3 x 255\nabc"), HasSubstr("no height at byte 5"));
  EXPECT_THAT(refusal("P5 -3 1 255\nabc"), HasSubstr("no width at byte 3"));
  EXPECT_THAT(refusal("P5 3 1\nabc"), HasSubstr("no largest value at byte 7"));
  EXPECT_THAT(refusal("P5 0 1 255\n"), HasSubstr("0 x 1, expected at least 1 x 1"));
  EXPECT_THAT(refusal("P5 1 1 0\na"), HasSubstr("largest value is 0, expected 1 to 65535"));
  EXPECT_THAT(refusal("P5 1 1 65536\nab"), HasSubstr("expected 1 to 65535"));
  EXPECT_THAT(refusal("P5 1 1 255"), HasSubstr("ends at byte 10 without white space"));
  EXPECT_THAT(refusal("P5 1 1 255a"), HasSubstr("ends at byte 10 without white space"));
  EXPECT_THAT(refusal("P5 99999999999999999999 1 255\na"), HasSubstr("no width"));
  EXPECT_THAT(refusal("P5 2 2 100\nab\310d"), HasSubstr("row 1, column 0 has the value 200"));
  EXPECT_THAT(refusal("P2 2 2 100 1 2 3 101"), HasSubstr("row 1, column 1 has the value 101"));
  EXPECT_THAT(refusal("P3 1 2 9 1 2 3 4 x 6"),
              HasSubstr("row 1, column 0 has no number at byte 17"));
  EXPECT_THAT(refusal("P2 2 1 9 1 2x"), HasSubstr("column 1 has no number"));
  EXPECT_THAT(refusal("P1 2 1 0 2"), HasSubstr("has the value 2, expected at most 1"));
  EXPECT_THAT(refusal("P7\nWIDTH 1\n"), HasSubstr("PAM"));
}

TEST(Pnm, SizesAreBoundedBeforeAnythingIsAllocated) {
  EXPECT_ERROR(image_too_large, decode_image(text("P5 100000 100000 255\na"), "large"));
  EXPECT_ERROR(image_too_large, decode_image(text("P2 70000 1 255\n1"), "wide"));
  EXPECT_ERROR(image_bad_format, decode_image(text("P6 20000 20000 255\na"), "short"));
  EXPECT_ERROR(image_bad_format, decode_image(text("P3 20000 20000 255\n1"), "short"));
}

}  // namespace
}  // namespace qama::io
