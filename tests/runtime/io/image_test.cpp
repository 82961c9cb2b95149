// Fitting images to a model's size and channels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
