#include "runtime/io/decode/exif.h"

namespace qama::io {
namespace {

constexpr std::uint32_t kOrientation = 0x0112;
constexpr std::uint32_t kShort = 3;
constexpr std::size_t kEntryBytes = 12;

}  // namespace

Orientation exif_orientation(Bytes exif) {
  if (has_magic(exif, std::string_view("Exif\0\0", 6))) exif = exif.subspan(6);
  const bool big_endian = has_magic(exif, "MM");
  if (!big_endian && !has_magic(exif, "II")) return 1;
  // Bytes behind the end read as 0, which is no tag, no count and no orientation.
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      const std::size_t from = at + (big_endian ? i : bytes - 1 - i);
      value = value << 8 | (from < exif.size() ? exif[from] : 0U);
    }
    return value;
  };
  if (number(2, 2) != 42) return 1;
  const std::size_t directory = number(4, 4);
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntryBytes;
    if (entry + kEntryBytes > exif.size()) return 1;
    if (number(entry, 2) != kOrientation) continue;
    const std::uint32_t value = number(entry + 8, 2);
    const bool right = number(entry + 2, 2) == kShort && number(entry + 4, 4) == 1;
    return right && value >= 1 && value <= 8 ? static_cast<Orientation>(value) : 1;
  }
  return 1;
}

}  // namespace qama::io
