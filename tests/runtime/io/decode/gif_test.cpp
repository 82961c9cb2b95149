// GIF: the first picture with its transparency, and no file that is cut.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "runtime/io/image.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

#if QAMA_WITH_GIF
#include <gif_lib.h>
#endif

namespace qama::io {
namespace {

using test::Bytes;
using testing::ElementsAre;
using testing::HasSubstr;

#if QAMA_WITH_GIF

int append(GifFileType* gif, const GifByteType* data, int bytes) {
  auto* out = static_cast<Bytes*>(gif->UserData);
  out->insert(out->end(), data, data + bytes);
  return bytes;
}

struct Kind {
  int left = 0, top = 0, width = 3, height = 2;
  bool interlaced = false;
  int transparent = NO_TRANSPARENT_COLOR;
  int pictures = 1;
};

/// On a screen of 3 x 2, or larger if the picture is. Colour i is (i, 10 i, 20 i).
Bytes gif_file(const Kind& kind, const Bytes& indices) {
  Bytes out;
  int code = 0;
  GifFileType* gif = EGifOpen(&out, append, &code);
  EGifSetGifVersion(gif, true);
  GifColorType colours[8];
  for (int i = 0; i < 8; ++i) {
    colours[i] = {static_cast<GifByteType>(i), static_cast<GifByteType>(10 * i),
                  static_cast<GifByteType>(20 * i)};
  }
  ColorMapObject* map = GifMakeMapObject(8, colours);
  EGifPutScreenDesc(gif, std::max(3, kind.width), std::max(2, kind.height), 3, 0, map);
  for (int picture = 0; picture < kind.pictures; ++picture) {
    GraphicsControlBlock control{DISPOSAL_UNSPECIFIED, false, 0, kind.transparent};
    GifByteType block[4];
    EGifGCBToExtension(&control, block);
    EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, block);
    EGifPutImageDesc(gif, kind.left, kind.top, kind.width, kind.height, kind.interlaced, nullptr);
    constexpr int kFirst[] = {0, 4, 2, 1};
    constexpr int kStep[] = {8, 8, 4, 2};
    for (int pass = 0; pass < (kind.interlaced ? 4 : 1); ++pass) {
      for (int y = kind.interlaced ? kFirst[pass] : 0; y < kind.height;
           y += kind.interlaced ? kStep[pass] : 1) {
        Bytes row(indices.begin() + y * kind.width, indices.begin() + (y + 1) * kind.width);
        EGifPutLine(gif, row.data(), kind.width);
      }
    }
  }
  EGifCloseFile(gif, &code);
  GifFreeMapObject(map);
  return out;
}

TEST(Gif, ColoursOfTheFirstPicture) {
  Kind kind;
  ASSERT_OK_AND_ASSIGN(const Image image,
                       decode_image(gif_file(kind, {0, 1, 2, 3, 4, 5}), "a.gif"));
  EXPECT_EQ(image.channels, 3);
  EXPECT_THAT(image.pixels,
              ElementsAre(0, 0, 0, 1, 10, 20, 2, 20, 40, 3, 30, 60, 4, 40, 80, 5, 50, 100));
  kind.pictures = 3;
  ASSERT_OK_AND_ASSIGN(const Image first,
                       decode_image(gif_file(kind, {0, 1, 2, 3, 4, 5}), "film.gif"));
  EXPECT_EQ(first.pixels, image.pixels);
}

TEST(Gif, TransparencyAndPlaces) {
  Kind kind;
  kind.transparent = 1;
  ASSERT_OK_AND_ASSIGN(const Image image,
                       decode_image(gif_file(kind, {0, 1, 1, 1, 1, 2}), "a.gif"));
  EXPECT_EQ(image.channels, 4);
  for (const auto& [pixel, alpha] : {std::pair{0, 255}, {1, 0}, {4, 0}, {5, 255}}) {
    EXPECT_EQ(image.pixels[static_cast<std::size_t>(pixel) * 4 + 3], alpha) << pixel;
  }
  // A small picture on the screen: around it is nothing.
  kind = {};
  kind.left = kind.top = kind.width = kind.height = 1;
  ASSERT_OK_AND_ASSIGN(const Image small, decode_image(gif_file(kind, {2}), "a.gif"));
  EXPECT_EQ(small.width, 3);
  EXPECT_THAT(small.pixels, ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 20, 40,
                                        255, 0, 0, 0, 0));
  kind.left = 3;
  EXPECT_ERROR(image_bad_format, decode_image(gif_file(kind, {2}), "a.gif"));
}

TEST(Gif, InterlacedIsTheSamePicture) {
  Kind kind;
  kind.width = 13;
  kind.height = 21;
  Bytes indices = test::sample_pixels(13, 21, 1);
  for (std::uint8_t& index : indices) index &= 7;
  ASSERT_OK_AND_ASSIGN(const Image plain, decode_image(gif_file(kind, indices), "a.gif"));
  kind.interlaced = true;
  ASSERT_OK_AND_ASSIGN(const Image same, decode_image(gif_file(kind, indices), "a.gif"));
  EXPECT_EQ(plain.pixels, same.pixels);
}

TEST(Gif, EveryTruncationIsRefused) {
  Kind kind;
  kind.width = 13;
  kind.height = 21;
  Bytes indices = test::sample_pixels(13, 21, 1);
  for (std::uint8_t& index : indices) index &= 7;
  const Bytes gif = gif_file(kind, indices);
  for (std::size_t bytes = 0; bytes < gif.size(); ++bytes) {
    EXPECT_ERROR(image_bad_format, decode_image(std::span(gif).first(bytes), "cut.gif"));
  }
}

TEST(Gif, FlippedBytesNeverDoMoreThanFail) {
  Kind kind;
  kind.transparent = 1;
  const Bytes gif = gif_file(kind, {0, 1, 2, 3, 4, 5});
  for (std::size_t at = 0; at < gif.size(); ++at) {
    for (int flip = 1; flip < 256; flip += 2) {
      Bytes damaged = gif;
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

TEST(Gif, IsRefusedByItsName) {
  const auto result = decode_image(Bytes{'G', 'I', 'F', '8', '9', 'a'}, "a.gif");
  EXPECT_ERROR(image_bad_format, result);
  EXPECT_THAT(result.error().message, HasSubstr("a GIF image, which this build does not read"));
}

#endif

}  // namespace
}  // namespace qama::io
