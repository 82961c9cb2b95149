// From a picture to a model's pixels, step by step: known pixels, and pictures whose answer is
// known by how they were made.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runtime/io/dataset.h"
#include "runtime/io/picture.h"
#include "runtime/io/png_writer.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

using test::Bytes;
using testing::ElementsAre;
using testing::ElementsAreArray;
using weights::Background;
using weights::Centre;
using weights::Fit;

Result<Bytes> fitted(const Image& image, const PictureRules& rules) {
  Bytes out(static_cast<std::size_t>(rules.height) * rules.width * rules.channels);
  QAMA_RETURN_IF_ERROR(prepare_picture(image, rules, Invert::automatic, out));
  return out;
}

TEST(Picture, EqualsPillowsBilinear) {
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
    ASSERT_OK_AND_ASSIGN(const Bytes fitted, fitted(image, {c.height, c.width, 1}));
    ASSERT_EQ(fitted.size(), c.pillow.size());
    // Pillow rounds to bytes between the two passes.
    for (std::size_t i = 0; i < fitted.size(); ++i) EXPECT_NEAR(fitted[i], c.pillow[i], 1) << i;
  }
}

TEST(Picture, ColourToGrayEqualsPillow) {
  Image image{4, 3, 3, {}};
  for (int i = 0; i < 12; ++i) {
    image.pixels.push_back(static_cast<std::uint8_t>(i * 53));
    image.pixels.push_back(static_cast<std::uint8_t>(i * 97 + 5));
    image.pixels.push_back(static_cast<std::uint8_t>(i * 29 + 200));
  }
  ASSERT_OK_AND_ASSIGN(const Bytes gray, fitted(image, {3, 4, 1}));
  EXPECT_THAT(gray, ElementsAreArray({26, 102, 149, 75, 151, 150, 76, 152, 78, 154, 154, 50}));
  ASSERT_OK_AND_ASSIGN(const Bytes small, fitted(image, {2, 2, 3}));
  const int pillow[] = {63, 110, 145, 105, 125, 77, 145, 115, 154, 73, 130, 130};
  for (std::size_t i = 0; i < small.size(); ++i) EXPECT_NEAR(small[i], pillow[i], 1) << i;
}

TEST(Picture, RightImageComesOutUnchanged) {
  const Image image{7, 5, 3, test::sample_pixels(7, 5, 3)};
  ASSERT_OK_AND_ASSIGN(const Bytes same, fitted(image, {5, 7, 3}));
  EXPECT_EQ(same, image.pixels);
}

TEST(Picture, GrayIsRepeated) {
  ASSERT_OK_AND_ASSIGN(const Bytes colours, fitted({1, 1, 1, {9}}, {1, 1, 3}));
  EXPECT_THAT(colours, ElementsAre(9, 9, 9));
}

TEST(Picture, ConstantStaysConstantAtEverySize) {
  const Image image{13, 11, 1, Bytes(13 * 11, 200)};
  for (const int size : {1, 2, 5, 12, 28, 64}) {
    ASSERT_OK_AND_ASSIGN(const Bytes out, fitted(image, {size, size, 1}));
    EXPECT_THAT(out, testing::Each(200)) << size;
  }
}

// Rows that lie further apart than they are long: a part of a larger image, or padded rows.
TEST(Picture, RowsMayLieApart) {
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
        ASSERT_OK_AND_ASSIGN(const Bytes expected, fitted(image, {height, width, to}));
        Bytes out(expected.size());
        ASSERT_OK(prepare_picture(view, {height, width, to}, Invert::automatic, out));
        EXPECT_EQ(out, expected) << channels << " to " << to << ", " << height << " x " << width;
      }
    }
  }
}

TEST(Picture, RefusesViewsThatCannotBe) {
  const Bytes pixels(64);
  Bytes out(4);
  EXPECT_ERROR(invalid_argument,
               prepare_picture(ImageView(nullptr, 2, 2, 1), {2, 2, 1}, Invert::automatic, out));
  EXPECT_ERROR(invalid_argument, prepare_picture(ImageView(pixels.data(), -1, 2, 1), {2, 2, 1},
                                                 Invert::automatic, out));
  EXPECT_ERROR(invalid_argument, prepare_picture(ImageView(pixels.data(), 2, 2, 3, 5), {2, 2, 1},
                                                 Invert::automatic, out));
  EXPECT_ERROR(invalid_argument, prepare_picture(ImageView(pixels.data(), 2, 2, 1), {2, 3, 1},
                                                 Invert::automatic, out));
  EXPECT_ERROR(image_too_large, prepare_picture(ImageView(pixels.data(), 16385, 1, 1), {2, 2, 1},
                                                Invert::automatic, out));
  EXPECT_ERROR(image_too_large, prepare_picture(ImageView(pixels.data(), 16000, 16000, 1),
                                                {2, 2, 1}, Invert::automatic, out));
}

TEST(Picture, RefusesSizesThatDoNotAgree) {
  EXPECT_ERROR(invalid_argument, fitted({0, 0, 1, {}}, {1, 1, 1}));
  EXPECT_ERROR(invalid_argument, fitted({1, 1, 5, Bytes(5)}, {1, 1, 1}));
  EXPECT_ERROR(invalid_argument, fitted({1, 1, 1, Bytes(1)}, {0, 1, 1}));
  EXPECT_ERROR(invalid_argument, fitted({1, 1, 1, Bytes(1)}, {1, 1, 2}));
}

struct Prepared {
  Bytes pixels;
  PictureNotes notes;
};

Prepared prepared(const Image& image, const PictureRules& rules,
                  Invert invert = Invert::automatic) {
  Prepared out{Bytes(static_cast<std::size_t>(rules.height) * rules.width * rules.channels), {}};
  const auto notes = prepare_picture(image, rules, invert, out.pixels);
  EXPECT_OK(notes);
  if (notes.ok()) out.notes = *notes;
  return out;
}

constexpr PictureRules kDark{28, 28, 1, Fit::stretch, Background::dark};
constexpr PictureRules kLight{28, 28, 1, Fit::stretch, Background::light};
constexpr PictureRules kAny{28, 28, 1};
constexpr PictureRules kMnist{28, 28, 1, Fit::content, Background::dark, 4, Centre::mass};
constexpr PictureRules kFashion{28, 28, 1, Fit::content, Background::dark, 0, Centre::box};

Image inverted(Image image) {
  for (std::uint8_t& pixel : image.pixels) pixel = static_cast<std::uint8_t>(255 - pixel);
  return image;
}

Image filled(std::int32_t width, std::int32_t height, std::uint8_t level) {
  return {width, height, 1, Bytes(static_cast<std::size_t>(width) * height, level)};
}

/// A thing of a vertical bar and a foot, 20 x 12 pixels times `scale`: two weights, no symmetry.
void draw(Image& image, std::int32_t left, std::int32_t top, std::int32_t scale,
          std::uint8_t level) {
  for (std::int32_t y = 0; y < 20 * scale; ++y) {
    for (std::int32_t x = 0; x < 12 * scale; ++x) {
      if (x >= 4 * scale && y < 16 * scale) continue;
      image.pixels[static_cast<std::size_t>(top + y) * image.width + left + x] = level;
    }
  }
}

/// That thing as MNIST would have it: box of 20, centre of mass on pixel 14.
Image placed() {
  Image out = filled(28, 28, 0);
  double mass = 0, down = 0, across = 0;
  for (int y = 0; y < 20; ++y) {
    for (int x = 0; x < 12; ++x) {
      if (x >= 4 && y < 16) continue;
      mass += 1;
      down += y;
      across += x;
    }
  }
  draw(out, static_cast<int>(std::lround(14 - across / mass)),
       static_cast<int>(std::lround(14 - down / mass)), 1, 255);
  return out;
}

/// The same gray values with an alpha: `ink` where the image is bright, transparent elsewhere.
Image on_nothing(const Image& shape, std::uint8_t ink) {
  Image out{shape.width, shape.height, 4, {}};
  for (const std::uint8_t alpha : shape.pixels) {
    out.pixels.insert(out.pixels.end(), {ink, ink, ink, alpha});
  }
  return out;
}

TEST(Picture, OneOfTheModelsSizeIsOnlyInverted) {
  const Image thing = placed();
  for (const PictureRules& rules : {kDark, kMnist, kFashion}) {
    EXPECT_EQ(prepared(thing, rules).pixels, thing.pixels);
    EXPECT_FALSE(prepared(thing, rules).notes.inverted);
    const Prepared paper = prepared(inverted(thing), rules);
    EXPECT_EQ(paper.pixels, thing.pixels);
    EXPECT_TRUE(paper.notes.inverted);
    EXPECT_FALSE(paper.notes.blank);
    EXPECT_EQ(prepared(inverted(thing), rules, Invert::no).pixels, inverted(thing).pixels);
    EXPECT_EQ(prepared(thing, rules, Invert::yes).pixels, inverted(thing).pixels);
  }
  EXPECT_EQ(prepared(thing, kLight).pixels, inverted(thing).pixels);
  EXPECT_EQ(prepared(inverted(thing), kLight).pixels, inverted(thing).pixels);
  EXPECT_EQ(prepared(inverted(thing), kAny).pixels, inverted(thing).pixels);
  EXPECT_EQ(prepared(thing, kAny, Invert::yes).pixels, inverted(thing).pixels);
}

TEST(Picture, InkOnNothingIsSeenWhateverItsColour) {
  const Image thing = placed();
  for (const std::uint8_t ink : std::initializer_list<std::uint8_t>{0, 20, 235, 255}) {
    SCOPED_TRACE(static_cast<int>(ink));
    const Prepared dark = prepared(on_nothing(thing, ink), kDark);
    const Prepared light = prepared(on_nothing(thing, ink), kLight);
    const std::uint8_t strength = ink < 128 ? static_cast<std::uint8_t>(255 - ink) : ink;
    for (std::size_t i = 0; i < thing.pixels.size(); ++i) {
      EXPECT_EQ(dark.pixels[i], thing.pixels[i] == 0 ? 0 : strength);
      EXPECT_EQ(light.pixels[i], thing.pixels[i] == 0 ? 255 : 255 - strength);
    }
    EXPECT_EQ(dark.notes.inverted, ink < 128);
    EXPECT_EQ(light.notes.inverted, ink >= 128);
    EXPECT_FALSE(dark.notes.blank);
  }
  EXPECT_TRUE(prepared(on_nothing(filled(28, 28, 0), 255), kDark).notes.blank);
}

TEST(Picture, AlphaMixesWithTheMiddleWhereAnythingMayLieBehind) {
  ASSERT_OK_AND_ASSIGN(const Bytes colour, fitted({1, 1, 4, {1, 200, 3, 0}}, {1, 1, 3}));
  EXPECT_THAT(colour, ElementsAre(128, 128, 128));
  ASSERT_OK_AND_ASSIGN(const Bytes half, fitted({1, 1, 2, {228, 51}}, {1, 1, 1}));
  EXPECT_THAT(half, ElementsAre(148));
}

TEST(Picture, CropTakesTheMiddleAndPadAddsBars) {
  Image image{6, 2, 1, {10, 20, 100, 200, 30, 40, 11, 21, 101, 201, 31, 41}};
  ASSERT_OK_AND_ASSIGN(const Bytes crop, fitted(image, {2, 2, 1, Fit::crop}));
  EXPECT_THAT(crop, ElementsAre(100, 200, 101, 201));
  image = filled(6, 3, 90);
  ASSERT_OK_AND_ASSIGN(const Bytes grey, fitted(image, {4, 4, 1, Fit::pad}));
  EXPECT_THAT(grey,
              ElementsAre(128, 128, 128, 128, 90, 90, 90, 90, 90, 90, 90, 90, 128, 128, 128, 128));
  image.pixels[7] = 200;  // bright on dark
  EXPECT_EQ(prepared(image, {6, 6, 1, Fit::pad, Background::dark}).pixels[0], 0);
  EXPECT_EQ(prepared(image, {6, 6, 1, Fit::pad, Background::dark}).pixels[6], 90);
  EXPECT_EQ(prepared(image, {6, 6, 1, Fit::pad, Background::light}).pixels[0], 255);
  EXPECT_EQ(prepared(image, {6, 6, 1, Fit::pad, Background::light}).pixels[6], 165);
  // The aspect is the model's, not a square.
  image = {4, 4, 1, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
  ASSERT_OK_AND_ASSIGN(const Bytes wide, fitted(image, {2, 4, 1, Fit::crop}));
  EXPECT_THAT(wide, ElementsAre(5, 6, 7, 8, 9, 10, 11, 12));
}

TEST(Picture, ContentIsPlacedAsTheDataSetPlacesIt) {
  const Image expected = placed();
  for (const auto& [left, top] : {std::pair{0, 0}, {88, 30}, {41, 13}}) {
    Image image = filled(100, 50, 0);
    draw(image, left, top, 1, 255);
    EXPECT_EQ(prepared(image, kMnist).pixels, expected.pixels) << left;
    const Prepared paper = prepared(inverted(image), kMnist);
    EXPECT_EQ(paper.pixels, expected.pixels) << left;
    EXPECT_TRUE(paper.notes.inverted);
    EXPECT_EQ(
        prepared(inverted(image), {28, 28, 1, Fit::content, Background::light, 4, Centre::mass})
            .pixels,
        inverted(expected).pixels);
  }
  // Larger, and of low contrast: the levels are stretched.
  Image image = filled(300, 400, 180);
  draw(image, 37, 101, 9, 120);
  const Bytes found = prepared(image, kMnist).pixels;
  for (std::size_t i = 0; i < 784; ++i)
    EXPECT_NEAR(found[i], expected.pixels[i], 64);  // the filter
  // The box instead of the mass: 28 x 17 pixels, six columns left free on the left.
  const Prepared box = prepared(image, kFashion);
  for (std::size_t y = 0; y < 28; ++y) {
    for (std::size_t x = 0; x < 28; ++x) {
      if (x < 6 || x >= 23) {
        EXPECT_EQ(box.pixels[y * 28 + x], 0);
      }
    }
    EXPECT_EQ(box.pixels[y * 28 + 6], 255);
  }
}

TEST(Picture, ContentIsFoundInAPhotograph) {
  const Image expected = placed();
  Image image = filled(400, 300, 0);
  draw(image, 120, 60, 9, 255);
  const Image clean = image;
  std::uint32_t state = 1;
  for (int y = 0; y < 300; ++y) {
    for (int x = 0; x < 400; ++x) {
      std::uint8_t& pixel = image.pixels[static_cast<std::size_t>(y) * 400 + x];
      // Paper of 120 to 220 levels, brighter at the right and in the middle; ink takes two thirds.
      const double u = x / 200.0 - 1, v = y / 150.0 - 1;
      double level = 190 + 30 * u + 10 * v - 25 * (u * u + v * v);
      if (pixel != 0) level *= 0.33;
      state = state * 1664525 + 1013904223;
      pixel = static_cast<std::uint8_t>(level + static_cast<double>(state >> 24) / 32 - 4);
    }
  }
  image.pixels[5 * 400 + 300] = 0;                                               // a speck
  for (int x = 0; x < 400; ++x) image.pixels[static_cast<std::size_t>(x)] = 10;  // a thin frame
  for (int y = 0; y < 300; ++y) {
    image.pixels[static_cast<std::size_t>(y) * 400] = 10;
    image.pixels[static_cast<std::size_t>(y) * 400 + 399] = 10;
  }
  const Prepared found = prepared(image, kMnist);
  EXPECT_TRUE(found.notes.inverted);
  EXPECT_FALSE(found.notes.blank);
  double difference = 0;
  for (std::size_t i = 0; i < 784; ++i) {
    difference += std::abs(found.pixels[i] - expected.pixels[i]);
  }
  EXPECT_LT(difference / 784, 6);  // the light within the ink, and soft edges
}

TEST(Picture, NothingToSeeIsSaid) {
  Image noise = filled(28, 28, 0);
  std::uint32_t state = 7;
  for (std::uint8_t& pixel : noise.pixels) {
    state = state * 1664525 + 1013904223;
    pixel = static_cast<std::uint8_t>(200 + (state >> 24) % 30);
  }
  for (const PictureRules& rules : {kDark, kAny, kMnist, kFashion}) {
    EXPECT_TRUE(prepared(filled(28, 28, 255), rules).notes.blank);
    EXPECT_TRUE(prepared(filled(28, 28, 0), rules).notes.blank);
    EXPECT_TRUE(prepared(filled(300, 200, 77), rules).notes.blank);
    EXPECT_TRUE(prepared(filled(1, 1, 9), rules).notes.blank);
    EXPECT_TRUE(prepared(filled(1, 400, 9), rules).notes.blank);
    EXPECT_TRUE(prepared(noise, rules).notes.blank);
    Image one = filled(28, 28, 0);
    one.pixels[400] = 255;
    EXPECT_FALSE(prepared(one, rules).notes.blank);
  }
  EXPECT_EQ(prepared(filled(300, 200, 77), kMnist).pixels, Bytes(784));
  EXPECT_TRUE(prepared({1, 1, 3, {9, 200, 90}}, {4, 4, 3}).notes.blank);
}

TEST(Picture, ContentIsRefusedWhereItMeansNothing) {
  const Image image = filled(40, 40, 3);
  Bytes out(784), colours(784 * 3);
  const auto refused = [&](const PictureRules& rules) {
    EXPECT_ERROR(invalid_argument, prepare_picture(image, rules, Invert::automatic,
                                                   rules.channels == 1 ? out : colours));
  };
  refused({28, 28, 1, Fit::content, Background::any});
  refused({28, 28, 3, Fit::content, Background::dark});
  refused({28, 28, 1, Fit::content, Background::dark, 14});
  refused({28, 28, 1, Fit::content, Background::dark, -1});
}

class OfficialPictures : public testing::TestWithParam<const char*> {};

// The training sets give the same: 0 of 60 000 each.
TEST_P(OfficialPictures, AreNeverTakenForTheOtherBackground) {
  const auto path = test::shared_path(std::string("data/") + GetParam());
  if (!path) GTEST_SKIP() << "SKIPPED: no " << GetParam() << " in the shared directory";
  ASSERT_OK_AND_ASSIGN(const auto set, open_dataset(GetParam(), path->string(), "test"));
  std::int64_t wrong = 0, blank = 0;
  Sample sample;
  for (std::int64_t i = 0; i < set->info().samples; ++i) {
    ASSERT_OK(set->next(sample));
    const Prepared upright = prepared(sample.image, kMnist);
    const Prepared other = prepared(inverted(sample.image), kMnist);
    wrong += upright.notes.inverted ? 1 : 0;
    wrong += other.notes.inverted ? 0 : 1;
    blank += upright.notes.blank || other.notes.blank ? 1 : 0;
    ASSERT_EQ(upright.pixels, sample.image.pixels);
    ASSERT_EQ(other.pixels, sample.image.pixels);
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(blank, 0);
}

// A picture that has only grown by its background loses nothing.
TEST_P(OfficialPictures, ComeBackFromALargerPicture) {
  const auto path = test::shared_path(std::string("data/") + GetParam());
  if (!path) GTEST_SKIP() << "SKIPPED: no " << GetParam() << " in the shared directory";
  ASSERT_OK_AND_ASSIGN(const auto set, open_dataset(GetParam(), path->string(), "test"));
  const bool digits = std::string_view(GetParam()) == "mnist";
  int moved = 0;
  Sample sample;
  for (int i = 0; i < 500; ++i) {
    ASSERT_OK(set->next(sample));
    Image large = filled(90, 60, 255);
    for (int y = 0; y < 28; ++y) {
      for (int x = 0; x < 28; ++x) {
        large.pixels[static_cast<std::size_t>(y + 3) * 90 + x + 60] = static_cast<std::uint8_t>(
            255 - sample.image.pixels[static_cast<std::size_t>(y) * 28 + x]);
      }
    }
    const Bytes found = prepared(large, digits ? kMnist : kFashion).pixels;
    int worst = 0;
    for (std::size_t k = 0; k < 784; ++k) {
      worst = std::max(worst, std::abs(found[k] - sample.image.pixels[k]));
    }
    moved += worst > 16 ? 1 : 0;
  }
  // Some garments are 26 or 27 pixels long in the data set.
  EXPECT_LE(moved, digits ? 0 : 50);
}

INSTANTIATE_TEST_SUITE_P(Sets, OfficialPictures, testing::Values("mnist", "fashion-mnist"));

// reports/inputs/image: what people brought. The transparent ones show the digit of ref.png.
TEST(Picture, WhatPeopleBrought) {
  QAMA_SHARED_OR_SKIP(folder, "reports/inputs/image");
  const auto decoded = [&folder](const char* name) {
    Bytes bytes;
    for (const std::byte byte : test::read_file(folder / name)) {
      bytes.push_back(static_cast<std::uint8_t>(byte));
    }
    auto image = decode_image(bytes, name);
    EXPECT_OK(image);
    return image.ok() ? std::move(*image) : filled(1, 1, 0);
  };
  const Image seven = decoded("ref.png");
  for (const char* name : {"white_on_transparent.png", "palette_trns.png"}) {
    const Prepared found = prepared(decoded(name), kMnist);
    EXPECT_EQ(found.pixels, seven.pixels) << name;
    EXPECT_FALSE(found.notes.blank);
  }
  // Its 16 bits differ by 255 of 65535: less than one level of a screen.
  EXPECT_TRUE(prepared(decoded("gray16_low.png"), kMnist).notes.blank);
}

TEST(PngWriter, EnlargesEveryPixel) {
  for (const int channels : {1, 3}) {
    const Image image{3, 2, channels, test::sample_pixels(3, 2, channels)};
    const std::string png = png_of(image, 4);
    ASSERT_OK_AND_ASSIGN(
        const Image large,
        decode_image({reinterpret_cast<const std::uint8_t*>(png.data()), png.size()}, "a.png"));
    ASSERT_EQ(large.width, 12);
    ASSERT_EQ(large.height, 8);
    ASSERT_EQ(large.channels, channels);
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 12 * channels; ++x) {
        const int from = (y / 4 * 3 + x / channels / 4) * channels + x % channels;
        EXPECT_EQ(large.pixels[static_cast<std::size_t>(y * 12 * channels + x)],
                  image.pixels[static_cast<std::size_t>(from)]);
      }
    }
  }
}

}  // namespace
}  // namespace qama::io
