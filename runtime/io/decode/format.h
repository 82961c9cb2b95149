// What a decoder of images is made of. A format is a file NAME.cpp here that defines one
// `ImageFormat`, its declaration below, and its line in the list of image_decoder.cpp, which is the
// order in which formats are asked. CMake finds the file. A format whose library is optional is
// always compiled: without the library its `decode` is null, and a file of it is refused by name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "runtime/io/image.h"

namespace qama::io {

using Bytes = std::span<const std::uint8_t>;

/// Bounds on pictures as their files say them. A picture beyond kMaxImagePixels is reduced to at
/// most kReducedPixels while it is read (canvas.h); a JPEG by 2, 4 or 8, others by any factor.
inline constexpr std::int64_t kMaxSourceSide = 65535;
inline constexpr std::int64_t kMaxSourcePixels = std::int64_t{1} << 29;
inline constexpr std::int64_t kReducedPixels = std::int64_t{1} << 23;

struct ImageFormat {
  std::string_view name;                                  ///< for sentences: "a JPEG image"
  bool (*is)(Bytes bytes);                                ///< by its first bytes
  Result<Image> (*decode)(Bytes, std::string_view name);  ///< null: not in this build
};

extern const ImageFormat png_format;
extern const ImageFormat jpeg_format;
extern const ImageFormat pnm_format;
extern const ImageFormat bmp_format;
extern const ImageFormat gif_format;
extern const ImageFormat webp_format;
extern const ImageFormat tiff_format;

/// Whether `magic` stands at `at`.
[[nodiscard]] inline bool has_magic(Bytes bytes, std::string_view magic, std::size_t at = 0) {
  return bytes.size() >= at + magic.size() &&
         std::string_view(reinterpret_cast<const char*>(bytes.data()) + at, magic.size()) == magic;
}

[[nodiscard]] Error bad_format(std::string_view name, const std::string& what);
/// OUT_OF_MEMORY, from a decoder of others.
[[nodiscard]] Error no_memory(std::string_view name);

/// The screen before a decoder allocates: IMAGE_BAD_FORMAT for an empty picture, IMAGE_TOO_LARGE
/// beyond kMaxSourceSide or kMaxSourcePixels.
[[nodiscard]] Status check_source_size(std::string_view name, std::int64_t width,
                                       std::int64_t height);
/// The same for a decoder that cannot reduce while it reads: at most kMaxImagePixels, with sides up
/// to kMaxImageSide. `why` completes "its size is W x H, expected ... for WHY".
[[nodiscard]] Status check_whole_size(std::string_view name, std::int64_t width,
                                      std::int64_t height, std::string_view why);

}  // namespace qama::io
