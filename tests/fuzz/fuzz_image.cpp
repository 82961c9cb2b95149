// Fuzz target: bytes to an image, and from there to a model's size. Anything but a crash is right.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "runtime/io/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto image = qama::io::decode_image(std::span(data, size), "fuzz");
  if (!image.ok()) return 0;
  // A result that contradicts itself is as bad as a crash.
  const auto pixels = static_cast<std::size_t>(image->width) * image->height * image->channels;
  if (image->pixels.size() != pixels) std::abort();
  if (pixels < (std::size_t{1} << 20) && !qama::io::fit_image(*image, 28, 28, 1).ok()) std::abort();
  return 0;
}
