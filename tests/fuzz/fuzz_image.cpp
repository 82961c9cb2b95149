// Fuzz target: bytes to an image, and from there to a model's size. Anything but a crash is right.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "runtime/io/picture.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto image = qama::io::decode_image(std::span(data, size), "fuzz");
  if (!image.ok()) return 0;
  // A result that contradicts itself is as bad as a crash.
  const auto pixels = static_cast<std::size_t>(image->width) * image->height * image->channels;
  if (image->pixels.size() != pixels) std::abort();
  if (pixels >= (std::size_t{1} << 20)) return 0;
  std::array<std::uint8_t, 784> out{};
  using qama::weights::Fit;
  for (const Fit fit : {Fit::stretch, Fit::crop, Fit::pad, Fit::content}) {
    const qama::io::PictureRules rules{28, 28, 1, fit, qama::weights::Background::dark, 4};
    if (!qama::io::prepare_picture(*image, rules, qama::io::Invert::automatic, out).ok()) {
      std::abort();
    }
  }
  return 0;
}
