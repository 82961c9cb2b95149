#include "runtime/io/picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "runtime/io/thing.h"

namespace qama::io {
namespace {

using weights::Background;
using weights::Centre;
using weights::Fit;

constexpr std::uint8_t kMiddle = 128;
constexpr std::int32_t kSearchSide = 512;  ///< a thing is looked for at this size at most
constexpr int kLeastRange = 16;            ///< levels; a picture of fewer is one colour
constexpr int kNoiseRange = 64;            ///< levels; noise alone spans fewer
constexpr double kNoiseDeviation = 10;     ///< levels
/// Neighbours of noise differ by this much of what any two of its pixels differ by. No picture of
/// the data sets comes near: 0.76 at most.
constexpr double kNoiseRoughness = 0.85;

/// ITU-R 601 luma, as Pillow computes it.
std::uint8_t luma(const std::uint8_t* rgb) {
  return static_cast<std::uint8_t>((19595U * rgb[0] + 38470U * rgb[1] + 7471U * rgb[2] + 32768U) >>
                                   16);
}

std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(std::lrint(std::clamp(value, 0.0F, 255.0F)));
}

std::uint8_t level_of(Background background) {
  if (background == Background::any) return kMiddle;
  return background == Background::dark ? 0 : 255;
}

/// What lies behind a picture with alpha. A thing as dark as the model's background would vanish on
/// it, and so would a light one; it is laid on the opposite, and is inverted later.
std::uint8_t backdrop(const ImageView& picture, Background background) {
  if (background == Background::any) return kMiddle;
  std::uint64_t sum = 0, weight = 0;
  for (std::int32_t y = 0; y < picture.height; ++y) {
    const std::uint8_t* in = picture.pixels + static_cast<std::size_t>(y) * picture.row_bytes;
    for (std::int32_t x = 0; x < picture.width; ++x, in += picture.channels) {
      const std::uint8_t alpha = in[picture.channels - 1];
      sum += std::uint64_t{alpha} * (picture.channels == 2 ? in[0] : luma(in));
      weight += alpha;
    }
  }
  const bool light = weight > 0 ? sum >= kMiddle * weight : background == Background::dark;
  return light ? 0 : 255;
}

/// The picture without alpha, in 1 or 3 channels.
void flatten(const ImageView& picture, std::int32_t channels, Background background,
             std::uint8_t* out) {
  const bool gray = picture.channels <= 2;
  const bool has_alpha = picture.channels % 2 == 0;
  const std::uint32_t behind = has_alpha ? backdrop(picture, background) : 0U;
  for (std::int32_t y = 0; y < picture.height; ++y) {
    const std::uint8_t* in = picture.pixels + static_cast<std::size_t>(y) * picture.row_bytes;
    for (std::int32_t x = 0; x < picture.width; ++x, in += picture.channels, out += channels) {
      std::array<std::uint8_t, 3> colour{in[0], in[0], in[0]};
      if (!gray) std::copy_n(in, 3, colour.begin());
      if (has_alpha) {
        const std::uint32_t alpha = in[picture.channels - 1];
        for (std::uint8_t& c : colour) {
          c = static_cast<std::uint8_t>((alpha * c + (255 - alpha) * behind + 127) / 255);
        }
      }
      if (channels == 1) {
        *out = gray ? colour[0] : luma(colour.data());
      } else {
        std::copy_n(colour.begin(), 3, out);
      }
    }
  }
}

/// The model's pixels.
struct Pixels {
  std::span<std::uint8_t> bytes;
  std::int32_t height, width, channels;

  [[nodiscard]] std::uint8_t gray(std::int32_t y, std::int32_t x) const {
    const std::uint8_t* at = bytes.data() + (static_cast<std::size_t>(y) * width + x) * channels;
    return channels == 1 ? at[0] : luma(at);
  }
};

/// Twice the median of a corner; side is at least 1.
int corner(const Pixels& pixels, std::int32_t top, std::int32_t left, std::int32_t side) {
  std::array<std::int32_t, 256> count{};
  for (std::int32_t y = 0; y < side; ++y) {
    for (std::int32_t x = 0; x < side; ++x) ++count[pixels.gray(top + y, left + x)];
  }
  const auto ranked = [&](std::int32_t rank) {
    int level = 0;
    while (rank >= count[static_cast<std::size_t>(level)]) {
      rank -= count[static_cast<std::size_t>(level)];
      ++level;
    }
    return level;
  };
  return ranked((side * side - 1) / 2) + ranked(side * side / 2);
}

/// The corners lie nearer to the brightest pixel than to the darkest. The middle two of the four
/// medians count, so that a thing may cover two corners. On the 60 000 training pictures of MNIST
/// and of Fashion-MNIST, as they are and inverted, this is never wrong.
bool is_background_light(const Pixels& pixels) {
  const std::int32_t side = std::max(1, std::min(pixels.height, pixels.width) / 14);
  const std::int32_t bottom = pixels.height - side, right = pixels.width - side;
  std::array<int, 4> corners{corner(pixels, 0, 0, side), corner(pixels, 0, right, side),
                             corner(pixels, bottom, 0, side), corner(pixels, bottom, right, side)};
  std::sort(corners.begin(), corners.end());
  int darkest = 255, brightest = 0;
  for (std::int32_t y = 0; y < pixels.height; ++y) {
    for (std::int32_t x = 0; x < pixels.width; ++x) {
      darkest = std::min<int>(darkest, pixels.gray(y, x));
      brightest = std::max<int>(brightest, pixels.gray(y, x));
    }
  }
  return corners[1] + corners[2] > 2 * (darkest + brightest);
}

/// One colour, or noise alone.
bool is_blank(const Pixels& pixels) {
  double sum = 0, squares = 0, steps = 0;
  std::int64_t pairs = 0;
  int range = 0;
  for (std::int32_t c = 0; c < pixels.channels; ++c) {
    const auto at = [&](std::int32_t y, std::int32_t x) -> int {
      return pixels.bytes[(static_cast<std::size_t>(y) * pixels.width + x) * pixels.channels + c];
    };
    int least = 255, most = 0;
    double channel = 0;
    for (std::int32_t y = 0; y < pixels.height; ++y) {
      for (std::int32_t x = 0; x < pixels.width; ++x) {
        const int value = at(y, x);
        least = std::min(least, value);
        most = std::max(most, value);
        channel += value;
        squares += value * value;
        if (x > 0) steps += std::pow(value - at(y, x - 1), 2), ++pairs;
        if (y > 0) steps += std::pow(value - at(y - 1, x), 2), ++pairs;
      }
    }
    range = std::max(range, most - least);
    sum += channel * channel;
  }
  if (range < kLeastRange) return true;
  const double count = static_cast<double>(pixels.height) * pixels.width;
  const double variance = (squares - sum / count) / (count * pixels.channels);
  return range < kNoiseRange && variance < kNoiseDeviation * kNoiseDeviation &&
         steps / (2 * static_cast<double>(pairs)) > kNoiseRoughness * variance;
}

void invert_all(std::span<std::uint8_t> bytes) {
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(255 - byte);
}

/// Inverts where that is asked for or found.
bool orient(const Pixels& pixels, Background background, Invert invert) {
  bool wanted = invert == Invert::yes;
  if (invert == Invert::automatic && background != Background::any) {
    wanted = is_background_light(pixels) != (background == Background::light);
  }
  if (wanted) invert_all(pixels.bytes);
  return wanted;
}

/// `side` scaled, at least 1 and at most `most`.
std::int32_t scaled(std::int32_t side, double scale, std::int32_t most) {
  return std::clamp(static_cast<std::int32_t>(std::lround(side * scale)), 1, most);
}

/// The thing alone, on the model's background, where the training set has it.
PictureNotes place_thing(const ImageView& gray, const PictureRules& rules, Invert invert,
                         std::span<std::uint8_t> out) {
  const double shrink =
      std::min(1.0, static_cast<double>(kSearchSide) / std::max(gray.width, gray.height));
  const Levels picture = resample(gray, scaled(gray.height, shrink, kSearchSide),
                                  scaled(gray.width, shrink, kSearchSide));
  const bool on_dark = rules.background == Background::dark;
  Contrast contrast = Contrast::found;
  if (invert != Invert::automatic) {
    contrast = (invert == Invert::yes) == on_dark ? Contrast::darker : Contrast::brighter;
  }
  const Thing thing = find_thing(picture, contrast);
  const std::uint8_t behind = level_of(rules.background);
  std::fill(out.begin(), out.end(), behind);
  PictureNotes notes;
  notes.inverted = thing.darker == on_dark;
  notes.blank = !thing.found;
  if (!thing.found) return notes;

  const std::int32_t room_height = rules.height - 2 * rules.margin;
  const std::int32_t room_width = rules.width - 2 * rules.margin;
  double scale = std::min(static_cast<double>(room_height) / thing.height,
                          static_cast<double>(room_width) / thing.width);
  // A pixel more or less is not worth the blur.
  if (std::abs(std::max(thing.height - room_height, thing.width - room_width)) <= 1) scale = 1;
  const std::int32_t height = scaled(thing.height, scale, room_height);
  const std::int32_t width = scaled(thing.width, scale, room_width);
  const Levels small = resample(Levels{thing.width, thing.height, 1, thing.rise}, height, width);
  float strongest = 0;
  double mass = 0, down = 0, across = 0;
  for (std::int32_t y = 0; y < height; ++y) {
    for (std::int32_t x = 0; x < width; ++x) {
      const float value = small.values[static_cast<std::size_t>(y) * width + x];
      strongest = std::max(strongest, value);
      mass += value;
      down += double{value} * y;
      across += double{value} * x;
    }
  }
  // Odd pixels go above and to the left, and pixel side / 2 is the middle: as in the two data sets.
  std::int32_t top = (rules.height - height + 1) / 2, left = (rules.width - width + 1) / 2;
  if (rules.centre == Centre::mass) {
    top = static_cast<std::int32_t>(std::lround(rules.height / 2.0 - down / mass));
    left = static_cast<std::int32_t>(std::lround(rules.width / 2.0 - across / mass));
    top = std::clamp(top, 0, rules.height - height);
    left = std::clamp(left, 0, rules.width - width);
  }
  for (std::int32_t y = 0; y < height; ++y) {
    for (std::int32_t x = 0; x < width; ++x) {
      const float value = small.values[static_cast<std::size_t>(y) * width + x];
      const std::uint8_t level = to_byte(255 * value / strongest);
      out[static_cast<std::size_t>(top + y) * rules.width + left + x] =
          on_dark ? level : static_cast<std::uint8_t>(255 - level);
    }
  }
  return notes;
}

/// The middle of the picture, in the aspect of the model.
ImageView middle(ImageView picture, const PictureRules& rules) {
  const double scale = std::min(static_cast<double>(picture.height) / rules.height,
                                static_cast<double>(picture.width) / rules.width);
  const std::int32_t height = scaled(rules.height, scale, picture.height);
  const std::int32_t width = scaled(rules.width, scale, picture.width);
  picture.pixels += static_cast<std::size_t>((picture.height - height) / 2) * picture.row_bytes +
                    static_cast<std::size_t>((picture.width - width) / 2) * picture.channels;
  picture.height = height;
  picture.width = width;
  return picture;
}

/// The whole picture with bars of the model's background.
bool place_padded(const ImageView& picture, const PictureRules& rules, Invert invert,
                  std::span<std::uint8_t> out) {
  const double scale = std::min(static_cast<double>(rules.height) / picture.height,
                                static_cast<double>(rules.width) / picture.width);
  const std::int32_t height = scaled(picture.height, scale, rules.height);
  const std::int32_t width = scaled(picture.width, scale, rules.width);
  const Levels small = resample(picture, height, width);
  std::vector<std::uint8_t> bytes(small.values.size());
  std::transform(small.values.begin(), small.values.end(), bytes.begin(), to_byte);
  const bool inverted = orient({bytes, height, width, rules.channels}, rules.background, invert);
  std::fill(out.begin(), out.end(), level_of(rules.background));
  const std::size_t row = static_cast<std::size_t>(width) * rules.channels;
  const std::size_t left = static_cast<std::size_t>((rules.width - width) / 2) * rules.channels;
  const auto top = static_cast<std::size_t>((rules.height - height) / 2);
  for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y) {
    std::copy_n(bytes.data() + y * row, row,
                out.data() + (top + y) * rules.width * rules.channels + left);
  }
  return inverted;
}

Status check_rules(const PictureRules& rules, std::span<const std::uint8_t> out) {
  if (rules.height < 1 || rules.width < 1 || rules.height > kMaxImageSide ||
      rules.width > kMaxImageSide || (rules.channels != 1 && rules.channels != 3)) {
    return Error{ErrorCode::invalid_argument,
                 "cannot make an image of " + std::to_string(rules.height) + " x " +
                     std::to_string(rules.width) + " x " + std::to_string(rules.channels) +
                     ", expected sides from 1 to " + std::to_string(kMaxImageSide) +
                     " and 1 or 3 channels"};
  }
  const std::size_t bytes = static_cast<std::size_t>(rules.height) * rules.width * rules.channels;
  if (out.size() != bytes) {
    return Error{ErrorCode::invalid_argument, "room for " + std::to_string(out.size()) +
                                                  " bytes of pixels, expected " +
                                                  std::to_string(bytes)};
  }
  if (rules.fit != Fit::content) return {};
  if (rules.channels != 1 || rules.background == Background::any) {
    return Error{ErrorCode::invalid_argument,
                 "fit content needs a model of one channel whose file says that things lie on a "
                 "dark or a light background"};
  }
  if (rules.margin < 0 || 2 * rules.margin >= std::min(rules.height, rules.width)) {
    return Error{ErrorCode::invalid_argument, "a margin of " + std::to_string(rules.margin) +
                                                  " pixels leaves nothing of the model's image"};
  }
  return {};
}

}  // namespace

Result<PictureNotes> prepare_picture(const ImageView& picture, const PictureRules& rules,
                                     Invert invert, std::span<std::uint8_t> out) {
  QAMA_RETURN_IF_ERROR(check_rules(rules, out));
  QAMA_RETURN_IF_ERROR(check_image(picture));
  ImageView from = picture;
  if (from.row_bytes == 0) from.row_bytes = static_cast<std::size_t>(from.width) * from.channels;
  const Pixels pixels{out, rules.height, rules.width, rules.channels};
  PictureNotes notes;
  if (from.height == rules.height && from.width == rules.width) {
    flatten(from, rules.channels, rules.background, out.data());
    notes.inverted = orient(pixels, rules.background, invert);
    notes.blank = is_blank(pixels);
    return notes;
  }
  std::vector<std::uint8_t> flat;
  if (from.channels != rules.channels) {
    flat.resize(static_cast<std::size_t>(from.width) * from.height * rules.channels);
    flatten(from, rules.channels, rules.background, flat.data());
    from = {flat.data(), from.width, from.height, rules.channels,
            static_cast<std::size_t>(from.width) * rules.channels};
  }
  if (rules.fit == Fit::content) return place_thing(from, rules, invert, out);
  if (rules.fit == Fit::pad) {
    notes.inverted = place_padded(from, rules, invert, out);
  } else {
    if (rules.fit == Fit::crop) from = middle(from, rules);
    const Levels fitted = resample(from, rules.height, rules.width);
    std::transform(fitted.values.begin(), fitted.values.end(), out.begin(), to_byte);
    notes.inverted = orient(pixels, rules.background, invert);
  }
  notes.blank = is_blank(pixels);
  return notes;
}

}  // namespace qama::io
