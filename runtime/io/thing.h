// Finding the thing that a picture shows, for models whose training pictures were cut out and
// centred that way: MNIST and Fashion-MNIST. Internal to picture.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/io/image.h"

namespace qama::io {

/// Whether the thing is brighter or darker than what lies behind it.
enum class Contrast : std::uint8_t { found, brighter, darker };

/// A thing on its background.
struct Thing {
  bool found = false;  ///< else nothing rises above the noise, and the rest is empty
  bool darker = false;
  std::int32_t left = 0, top = 0, width = 0, height = 0;  ///< its box
  /// By how many levels each pixel of the box differs from the background, from 0 up; 0 where the
  /// pixel belongs to something else.
  std::vector<float> rise;
};

/// One channel, sides from 1. The background is a quadratic surface, so that uneven light does not
/// count as a thing; specks, a thin frame and what runs along the picture's edge do not either.
[[nodiscard]] Thing find_thing(const Levels& picture, Contrast contrast);

}  // namespace qama::io
