// A small PNG of an image, for looking at.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/io/image.h"

namespace qama::io {

/// The bytes of a PNG file with every pixel as `zoom` x `zoom` pixels. Precondition: check_image()
/// is content, 1 or 3 channels, and zoom is at least 1.
[[nodiscard]] std::string png_of(const ImageView& image, std::int32_t zoom);

}  // namespace qama::io
