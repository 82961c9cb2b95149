// From a picture to what a model sees: the one function that the program, the library and the pages
// use. weights/FORMAT.md ("From a picture to the input") has the steps, so that others can do the
// same. Decoding and orientation come before it (image_decoder.cpp), resampling is image.h, and
// normalising to floats comes after it (the engine).
#pragma once

#include <cstdint>
#include <span>

#include "hal/base/result.h"
#include "runtime/io/image.h"
#include "weights/preprocess.h"

namespace qama::io {

/// What a model wants: its size, and the keys of its record.
struct PictureRules {
  std::int32_t height = 0;
  std::int32_t width = 0;
  std::int32_t channels = 0;  ///< 1 or 3
  weights::Fit fit = weights::Fit::stretch;
  weights::Background background = weights::Background::any;
  std::int32_t margin = 0;
  weights::Centre centre = weights::Centre::box;
};

/// Whether dark and light change places. Automatic: where the model's background is known and the
/// picture's is the other one.
enum class Invert : std::uint8_t { automatic, no, yes };

/// What happened to a picture.
struct PictureNotes {
  bool blank = false;     ///< one colour, or noise alone: there is nothing to see
  bool inverted = false;  ///< dark and light have changed places

  bool operator==(const PictureNotes&) const = default;
};

/// Writes height x width x channels bytes, interleaved, into `out`, which has exactly that many. A
/// picture of the model's size is never moved nor scaled, and nothing is allocated for it.
/// INVALID_ARGUMENT: an impossible picture or target; `content` where the model has more than one
/// channel or does not say what lies behind its things. IMAGE_TOO_LARGE.
[[nodiscard]] Result<PictureNotes> prepare_picture(const ImageView& picture,
                                                   const PictureRules& rules, Invert invert,
                                                   std::span<std::uint8_t> out);

}  // namespace qama::io
