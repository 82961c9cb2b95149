// decode_image(): stb_image for PNG and JPEG, behind checks that it does not have itself (bytes it
// may allocate, Huffman tables that overrun its own, empty chunks, files cut short). PGM and PPM
// are a header and raw bytes and are read here: stb neither looks at their largest value nor
// notices missing pixels.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "hal/base/quote.h"
#include "runtime/io/image.h"

namespace {

// A PNG of 1 MB can unpack to 1 GB that its header never mentions. What stb may hold at the same
// time is therefore bounded by what the header promised; each block carries its size in front.
// Blocks are zeroed: stb (2.27) decodes with a JPEG's Huffman table whether or not the file defined
// it.
thread_local std::size_t stb_budget = 0;
constexpr std::size_t kBlockHeader = 16;

void* stb_allocate(std::size_t bytes) {
  if (bytes > stb_budget) return nullptr;
  auto* block = static_cast<unsigned char*>(std::calloc(1, bytes + kBlockHeader));
  if (block == nullptr) return nullptr;
  std::memcpy(block, &bytes, sizeof(bytes));
  stb_budget -= bytes;
  return block + kBlockHeader;
}

void stb_release(void* memory) {
  if (memory == nullptr) return;
  unsigned char* block = static_cast<unsigned char*>(memory) - kBlockHeader;
  std::size_t bytes = 0;
  std::memcpy(&bytes, block, sizeof(bytes));
  stb_budget += bytes;
  std::free(block);
}

void* stb_reallocate(void* memory, std::size_t bytes) {
  void* out = stb_allocate(bytes);
  if (out == nullptr || memory == nullptr) return out;
  std::size_t before = 0;
  std::memcpy(&before, static_cast<unsigned char*>(memory) - kBlockHeader, sizeof(before));
  std::memcpy(out, memory, std::min(before, bytes));
  stb_release(memory);
  return out;
}

}  // namespace

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS 16384
#define STBI_MALLOC(bytes) stb_allocate(bytes)
#define STBI_REALLOC(memory, bytes) stb_reallocate(memory, bytes)
#define STBI_FREE(memory) stb_release(memory)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace qama::io {
namespace {

static_assert(kMaxImageSide <= STBI_MAX_DIMENSIONS);

constexpr std::uint8_t kPngMagic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
constexpr std::uint8_t kJpegMagic[] = {0xFF, 0xD8, 0xFF};

// JPEG markers, the byte after 0xFF.
constexpr std::uint8_t kDefineHuffman = 0xC4;
constexpr std::uint8_t kEndOfImage = 0xD9;
constexpr std::uint8_t kComment = 0xFE;
constexpr std::uint8_t kAdobe = 0xEE;  ///< APP14: says how colours are coded

using Bytes = std::span<const std::uint8_t>;

template <std::size_t n>
bool starts_with(Bytes bytes, const std::uint8_t (&magic)[n]) {
  return bytes.size() >= n && std::equal(magic, magic + n, bytes.begin());
}

Error bad_format(std::string_view name, const std::string& what) {
  return Error{ErrorCode::image_bad_format, "image " + quote(name) + ": " + what};
}

Status check_size(std::string_view name, std::int64_t width, std::int64_t height) {
  if (width < 1 || height < 1) {
    return bad_format(name, "its size is " + std::to_string(width) + " x " +
                                std::to_string(height) + ", expected at least 1 x 1");
  }
  if (width > kMaxImageSide || height > kMaxImageSide || width * height > kMaxImagePixels) {
    return Error{ErrorCode::image_too_large,
                 "image " + quote(name) + ": its size is " + std::to_string(width) + " x " +
                     std::to_string(height) + ", expected sides up to " +
                     std::to_string(kMaxImageSide) + " and " + std::to_string(kMaxImagePixels) +
                     " pixels"};
  }
  return {};
}

bool is_space(std::uint8_t c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r';
}

/// A number of a PNM header; white space and comments before it are passed over. -1: there is none,
/// or it is longer than any size can be.
std::int64_t pnm_number(Bytes bytes, std::size_t& at) {
  while (at < bytes.size() && (is_space(bytes[at]) || bytes[at] == '#')) {
    if (bytes[at] == '#') {
      while (at < bytes.size() && bytes[at] != '\n') ++at;
    } else {
      ++at;
    }
  }
  std::int64_t value = -1;
  for (int digits = 0; at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9'; ++at, ++digits) {
    if (digits == 9) return -1;
    value = std::max<std::int64_t>(value, 0) * 10 + (bytes[at] - '0');
  }
  return value;
}

Result<Image> decode_pnm(Bytes bytes, std::string_view name) {
  Image out;
  out.channels = bytes[1] == '5' ? 1 : 3;
  std::size_t at = 2;
  const std::int64_t width = pnm_number(bytes, at);
  const std::int64_t height = pnm_number(bytes, at);
  const std::int64_t largest = pnm_number(bytes, at);
  if (width < 0 || height < 0 || largest < 0 || at >= bytes.size() || !is_space(bytes[at])) {
    return bad_format(name, "its PNM header is damaged, expected width, height and largest value");
  }
  ++at;
  QAMA_RETURN_IF_ERROR(check_size(name, width, height));
  if (largest < 1 || largest > 255) {
    return bad_format(name, "its largest value is " + std::to_string(largest) +
                                ", expected 1 to 255 (8 bits a sample)");
  }
  const auto expected = static_cast<std::size_t>(width * height * out.channels);
  if (bytes.size() - at < expected) {
    return bad_format(name, "it has " + std::to_string(bytes.size() - at) +
                                " bytes of pixels, expected " + std::to_string(expected));
  }
  out.width = static_cast<std::int32_t>(width);
  out.height = static_cast<std::int32_t>(height);
  out.pixels.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    bytes.begin() + static_cast<std::ptrdiff_t>(at + expected));
  if (largest != 255) {
    for (std::uint8_t& pixel : out.pixels) {
      pixel = static_cast<std::uint8_t>(
          (std::min<std::int64_t>(pixel, largest) * 255 + largest / 2) / largest);
    }
  }
  return out;
}

/// The PNG with only the chunks that pixels depend on, and without empty ones, which stb copies
/// from a null pointer. A chunk that is not all there is left out with all that follows; stb then
/// misses it.
std::vector<std::uint8_t> screened_png(Bytes bytes) {
  constexpr std::string_view kChunks[] = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"};
  std::vector<std::uint8_t> out(bytes.begin(), bytes.begin() + sizeof(kPngMagic));
  out.reserve(bytes.size());
  std::size_t at = sizeof(kPngMagic);
  while (bytes.size() - at >= 12) {
    const std::size_t length = std::size_t{bytes[at]} << 24 | std::size_t{bytes[at + 1]} << 16 |
                               std::size_t{bytes[at + 2]} << 8 | bytes[at + 3];
    if (length > bytes.size() - at - 12) break;
    const std::string_view type(reinterpret_cast<const char*>(bytes.data()) + at + 4, 4);
    const bool wanted =
        std::find(std::begin(kChunks), std::end(kChunks), type) != std::end(kChunks);
    if (wanted && (length > 0 || type == "IEND")) {
      out.insert(out.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                 bytes.begin() + static_cast<std::ptrdiff_t>(at + length + 12));
    }
    at += length + 12;
  }
  return out;
}

bool has_no_length(std::uint8_t marker) {
  return marker <= 0x01 ||
         (marker >= 0xD0 && marker <= 0xD8);  // stuffing, restarts, start of image
}

/// Whether the Huffman tables of the segment whose length field is at `at` hold at most 256 symbols
/// each.
bool huffman_tables_fit(Bytes bytes, std::size_t at) {
  const auto byte = [bytes](std::size_t i) { return i < bytes.size() ? bytes[i] : 0; };
  std::int32_t left = byte(at) * 256 + byte(at + 1) - 2;
  at += 2;
  while (left > 0 && at < bytes.size()) {
    std::int32_t symbols = 0;
    for (std::size_t i = 1; i <= 16; ++i) symbols += byte(at + i);
    if (symbols > 256) return false;
    at += 17 + static_cast<std::size_t>(symbols);
    left -= 17 + symbols;
  }
  return true;
}

/// The JPEG without application data and comments, up to its end marker. stb (up to 2.27) writes
/// past its tables for a Huffman table of more than 256 symbols. What is left here is checked for
/// that at every place where stb could take the bytes for one, whatever it makes of the rest:
/// without blobs from elsewhere, no honest file has such bytes by chance.
Result<std::vector<std::uint8_t>> screened_jpeg(Bytes bytes, std::string_view name) {
  std::vector<std::uint8_t> out = {0xFF, 0xD8};
  out.reserve(bytes.size());
  bool ended = false;
  std::size_t at = 2;
  while (at + 1 < bytes.size() && !ended) {
    const std::uint8_t marker = bytes[at + 1];
    if (bytes[at] != 0xFF) {
      out.push_back(bytes[at++]);
    } else if (marker == 0xFF) {
      ++at;  // fill byte
    } else if (has_no_length(marker) || marker == kEndOfImage) {
      out.insert(out.end(), {0xFF, marker});
      at += 2;
      ended = marker == kEndOfImage;
    } else {
      if (bytes.size() - at < 4) break;
      const std::size_t length = 2 + bytes[at + 2] * 256U + bytes[at + 3];
      if (length < 4 || length > bytes.size() - at) break;
      const bool application = marker >= 0xE0 && marker <= 0xEF && marker != kAdobe;
      if (!application && marker != kComment) {
        out.insert(out.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                   bytes.begin() + static_cast<std::ptrdiff_t>(at + length));
      }
      at += length;
    }
  }
  // stb fills what is missing with gray; an image that was cut short has no end marker.
  if (!ended) return bad_format(name, "its JPEG data is cut short, expected an end marker");
  for (std::size_t i = 3; i < out.size(); ++i) {
    if (out[i - 1] == 0xFF && out[i] == kDefineHuffman && !huffman_tables_fit(out, i + 1)) {
      return bad_format(name, "a Huffman table has more than 256 symbols");
    }
  }
  return out;
}

struct StbFree {
  void operator()(std::uint8_t* pixels) const noexcept { stbi_image_free(pixels); }
};

Result<Image> decode_with_stb(Bytes bytes, std::string_view name) {
  const auto length = static_cast<int>(bytes.size());
  int width = 0;
  int height = 0;
  int channels = 0;
  stb_budget = std::size_t{1} << 20;
  if (stbi_info_from_memory(bytes.data(), length, &width, &height, &channels) == 0) {
    return bad_format(name, std::string("its header is damaged (") + stbi_failure_reason() + ")");
  }
  QAMA_RETURN_IF_ERROR(check_size(name, width, height));

  // At most at a time: the compressed data, inflated rows of 16-bit samples, the result and its
  // 8-bit copy, JPEG's coefficients (4 bytes a sample, planes padded to blocks); doubling while
  // inflating adds a half.
  const std::size_t samples = (static_cast<std::size_t>(width) + 64) * (height + 64) * 4;
  stb_budget = 2 * bytes.size() + 12 * samples + (std::size_t{1} << 20);
  std::unique_ptr<std::uint8_t, StbFree> pixels(
      stbi_load_from_memory(bytes.data(), length, &width, &height, &channels, 0));
  if (!pixels) {
    return bad_format(name, std::string("its data is damaged (") + stbi_failure_reason() + ")");
  }
  Image out;
  out.width = width;
  out.height = height;
  out.channels = channels;
  out.pixels.assign(pixels.get(),
                    pixels.get() + static_cast<std::size_t>(width) * height * channels);
  return out;
}

}  // namespace

Result<Image> decode_image(std::span<const std::uint8_t> bytes, std::string_view name) {
  if (bytes.empty()) return bad_format(name, "it is empty, expected PNG, JPEG, PGM or PPM data");
  if (bytes.size() > kMaxImageFileBytes) {
    return Error{ErrorCode::image_too_large,
                 "image " + quote(name) + " has " + std::to_string(bytes.size()) +
                     " bytes, expected at most " + std::to_string(kMaxImageFileBytes)};
  }
  if (starts_with(bytes, kPngMagic)) return decode_with_stb(screened_png(bytes), name);
  if (starts_with(bytes, kJpegMagic)) {
    QAMA_ASSIGN_OR_RETURN(const std::vector<std::uint8_t> jpeg, screened_jpeg(bytes, name));
    return decode_with_stb(jpeg, name);
  }
  if (bytes.size() >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' &&
      is_space(bytes[2])) {
    if (bytes[1] == '5' || bytes[1] == '6') return decode_pnm(bytes, name);
    return bad_format(name, std::string("it is PNM of type P") + static_cast<char>(bytes[1]) +
                                ", expected P5 or P6 (binary PGM or PPM)");
  }
  if (bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 8) {
    return bad_format(name, "it is an IDX file: name one of its images as FILE:INDEX");
  }
  return bad_format(name, "it is not an image, expected PNG, JPEG, PGM or PPM data");
}

}  // namespace qama::io
