// Canvas: rows come out upright and reduced; EXIF's orientation is read from any bytes.
#include "runtime/io/decode/canvas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/io/decode/exif.h"
#include "runtime/io/decode/format.h"
#include "tests/runtime/io/sample_files.h"

namespace qama::io {
namespace {

using test::Bytes;
using testing::ElementsAre;

Image made(const Bytes& pixels, int width, int height, int channels, int factor, int orientation) {
  Canvas canvas(width, height, channels, factor, orientation);
  for (int y = 0; y < height; ++y) {
    EXPECT_FALSE(canvas.complete());
    canvas.add_row(&pixels[static_cast<std::size_t>(y * width * channels)]);
  }
  EXPECT_TRUE(canvas.complete());
  canvas.add_row(pixels.data());  // one too many changes nothing
  return canvas.take();
}

// The letter's strokes, stored as   1 2 3
//                                   4 5 6   and turned as the EXIF standard describes.
TEST(Canvas, EightOrientations) {
  const Bytes stored = {1, 2, 3, 4, 5, 6};
  const std::vector<int> expected[] = {{1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1},
                                       {4, 5, 6, 1, 2, 3}, {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3},
                                       {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image image = made(stored, 3, 2, 1, 1, orientation);
    EXPECT_EQ(image.width, orientation > 4 ? 2 : 3);
    EXPECT_EQ(image.height, orientation > 4 ? 3 : 2);
    EXPECT_THAT(image.pixels, testing::ElementsAreArray(expected[orientation - 1])) << orientation;
  }
  EXPECT_THAT(made({1, 2, 3, 4, 5, 6}, 2, 1, 3, 1, 3).pixels, ElementsAre(4, 5, 6, 1, 2, 3));
}

TEST(Canvas, ReducesByMeans) {
  // 5 x 3 by 2: the last column and row are means of what is there.
  const Bytes stored = {0, 2, 10, 20, 100, 4, 6, 30, 41, 103, 1, 2, 3, 4, 9};
  const Image image = made(stored, 5, 3, 1, 2, 1);
  EXPECT_EQ(image.width, 3);
  EXPECT_EQ(image.height, 2);
  EXPECT_THAT(image.pixels, ElementsAre(3, 25, 102, 2, 4, 9));
  EXPECT_THAT(made(stored, 5, 3, 1, 2, 6).pixels, ElementsAre(2, 3, 4, 25, 9, 102));
  EXPECT_THAT(made(Bytes(9 * 7 * 4, 255), 9, 7, 4, 4, 1).pixels, testing::Each(255));
}

// What cannot be seen has no colour.
TEST(Canvas, ColoursCountAsMuchAsTheirAlpha) {
  EXPECT_THAT(made({200, 255, 0, 0}, 2, 1, 2, 2, 1).pixels, ElementsAre(200, 128));
  EXPECT_THAT(made({200, 0, 100, 0}, 2, 1, 2, 2, 1).pixels, ElementsAre(0, 0));
  EXPECT_THAT(made({10, 20, 30, 100, 50, 60, 70, 200}, 2, 1, 4, 2, 1).pixels,
              ElementsAre(37, 47, 57, 150));
}

TEST(Canvas, ReducesOnlyWhatIsTooLarge) {
  EXPECT_EQ(reduction(1, 1), 1);
  EXPECT_EQ(reduction(8192, 4096), 1);
  EXPECT_EQ(reduction(8192, 4097), 3);
  EXPECT_EQ(reduction(16385, 1), 2);
  EXPECT_EQ(reduction(65535, 1), 4);
  for (const auto& [width, height] :
       {std::pair{20000, 20000}, {65535, 8192}, {23170, 23170}, {8688, 5792}, {8193, 65528}}) {
    const std::int64_t factor = reduction(width, height);
    EXPECT_LE(((width + factor - 1) / factor) * ((height + factor - 1) / factor), kReducedPixels);
    EXPECT_LE(factor, 16);
  }
}

TEST(Exif, OrientationOfDataThatIsThere) {
  for (const bool big_endian : {false, true}) {
    for (int orientation = 0; orientation <= 10; ++orientation) {
      Bytes exif = test::exif_data(orientation, big_endian);
      const int expected = orientation >= 1 && orientation <= 8 ? orientation : 1;
      EXPECT_EQ(exif_orientation(exif), expected);
      exif.insert(exif.begin(), {'E', 'x', 'i', 'f', 0, 0});
      EXPECT_EQ(exif_orientation(exif), expected);
    }
  }
}

TEST(Exif, DamagedDataSaysNothing) {
  EXPECT_EQ(exif_orientation({}), 1);
  const Bytes exif = test::exif_data(6, true);
  // Cut: the value is at byte 18 and 19, and the entry has two more.
  for (std::size_t bytes = 0; bytes < 22; ++bytes) {
    EXPECT_EQ(exif_orientation(Bytes(exif.begin(), exif.begin() + static_cast<long>(bytes))), 1);
  }
  for (std::size_t at = 0; at < exif.size(); ++at) {
    for (int flip = 1; flip < 256; ++flip) {
      Bytes damaged = exif;
      damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ flip);
      const Orientation orientation = exif_orientation(damaged);
      EXPECT_GE(orientation, 1);
      EXPECT_LE(orientation, 8);
    }
  }
}

}  // namespace
}  // namespace qama::io
