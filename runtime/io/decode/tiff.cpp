// TIFF through libtiff, which brings its colours and compressions to RGBA: the first picture of a
// file. Its libraries weigh more than all other formats together, so that static programs are built
// without it.
#include "runtime/io/decode/format.h"

#if QAMA_WITH_TIFF
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "runtime/io/decode/canvas.h"
#endif

namespace qama::io {
namespace {

bool is_tiff(Bytes bytes) {
  using namespace std::literals;
  return has_magic(bytes, "II*\0"sv) || has_magic(bytes, "MM\0*"sv) ||
         has_magic(bytes, "II+\0"sv) || has_magic(bytes, "MM\0+"sv);
}

#if QAMA_WITH_TIFF

constexpr tmsize_t kMostAllocated = tmsize_t{256} << 20;

struct Source {
  Bytes bytes;
  std::uint64_t at = 0;
  char problem[256] = {};  ///< the first
};

Source& source_of(thandle_t handle) {
  return *static_cast<Source*>(handle);
}

tmsize_t on_read(thandle_t handle, void* out, tmsize_t bytes) {
  Source& source = source_of(handle);
  if (source.at >= source.bytes.size() || bytes <= 0) return 0;
  const auto got = std::min(static_cast<std::size_t>(bytes),
                            source.bytes.size() - static_cast<std::size_t>(source.at));
  std::memcpy(out, source.bytes.data() + source.at, got);
  source.at += got;
  return static_cast<tmsize_t>(got);
}

tmsize_t on_write(thandle_t, void*, tmsize_t) {
  return 0;
}

toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
  Source& source = source_of(handle);
  source.at = whence == SEEK_SET   ? offset
              : whence == SEEK_CUR ? source.at + offset
                                   : source.bytes.size() + offset;
  return source.at;
}

int on_close(thandle_t) {
  return 0;
}

toff_t on_size(thandle_t handle) {
  return source_of(handle).bytes.size();
}

/// 1: handled; libtiff prints nothing.
int on_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  Source& source = *static_cast<Source*>(user);
  if (source.problem[0] == '\0') {
    std::vsnprintf(source.problem, sizeof(source.problem), format, arguments);
  }
  return 1;
}

int on_warning(TIFF*, void*, const char*, const char*, va_list) {
  return 1;
}

struct Close {
  void operator()(TIFF* tiff) const noexcept { TIFFClose(tiff); }
};
struct Free {
  void operator()(TIFFOpenOptions* options) const noexcept { TIFFOpenOptionsFree(options); }
};

/// Of a colour that was multiplied by its alpha.
std::uint8_t divided(std::uint32_t value, std::uint32_t alpha) {
  if (alpha == 0) return 0;
  return static_cast<std::uint8_t>(std::min<std::uint32_t>(255, (value * 255 + alpha / 2) / alpha));
}

/// libtiff's own way to 8 bits drops the lower byte of gray; this rounds.
bool read_gray16(TIFF* tiff, std::uint32_t width, std::uint32_t height, bool inverted,
                 Canvas& canvas) {
  std::vector<std::uint16_t> values(width);
  std::vector<std::uint8_t> row(width);
  if (TIFFScanlineSize64(tiff) != std::uint64_t{2} * width) return false;
  for (std::uint32_t y = 0; y < height; ++y) {
    if (TIFFReadScanline(tiff, values.data(), y, 0) != 1) return false;
    for (std::uint32_t x = 0; x < width; ++x) {
      const std::uint32_t value = inverted ? 65535U - values[x] : values[x];
      row[x] = static_cast<std::uint8_t>((value * 255 + 32767) / 65535);
    }
    canvas.add_row(row.data());
  }
  return true;
}

Result<Image> decode_tiff(Bytes bytes, std::string_view name) {
  Source source{bytes};
  const auto damaged = [&](const char* otherwise) {
    return bad_format(name, std::string("its TIFF data is damaged or of a kind that libtiff does "
                                        "not bring to colours (") +
                                (source.problem[0] != '\0' ? source.problem : otherwise) + ")");
  };
  const std::unique_ptr<TIFFOpenOptions, Free> options(TIFFOpenOptionsAlloc());
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMostAllocated);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, &source);
  // m: no mapping; a name that says nothing, because it goes into no sentence of ours.
  const std::unique_ptr<TIFF, Close> tiff(TIFFClientOpenExt("image", "rm", &source, on_read,
                                                            on_write, on_seek, on_close, on_size,
                                                            nullptr, nullptr, options.get()));
  if (tiff == nullptr) return damaged("its header");
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  if (TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width) == 0 ||
      TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height) == 0) {
    return damaged("it has no size");
  }
  QAMA_RETURN_IF_ERROR(check_whole_size(name, width, height, "a TIFF image"));
  char problem[1024] = {};
  TIFFRGBAImage reader;
  if (TIFFRGBAImageOK(tiff.get(), problem) == 0 ||
      TIFFRGBAImageBegin(&reader, tiff.get(), 1, problem) == 0) {
    return damaged(problem);
  }
  // libtiff mirrors but does not turn: as stored here, and turned below.
  const int orientation =
      reader.orientation >= 1 && reader.orientation <= 8 ? reader.orientation : 1;
  reader.orientation = reader.req_orientation = ORIENTATION_TOPLEFT;
  const bool gray =
      reader.photometric == PHOTOMETRIC_MINISBLACK || reader.photometric == PHOTOMETRIC_MINISWHITE;
  if (gray && reader.bitspersample == 16 && reader.samplesperpixel == 1 &&
      TIFFIsTiled(tiff.get()) == 0) {
    const bool inverted = reader.photometric == PHOTOMETRIC_MINISWHITE;
    TIFFRGBAImageEnd(&reader);
    Canvas canvas(static_cast<std::int32_t>(width), static_cast<std::int32_t>(height), 1, 1,
                  orientation);
    if (!read_gray16(tiff.get(), width, height, inverted, canvas)) return damaged("its pixels");
    return canvas.take();
  }
  const bool has_alpha = reader.alpha != 0;
  std::vector<std::uint32_t> raster(std::size_t{width} * height);
  const bool whole = TIFFRGBAImageGet(&reader, raster.data(), width, height) != 0;
  TIFFRGBAImageEnd(&reader);
  if (!whole || source.problem[0] != '\0') return damaged("its pixels");
  const int channels = (gray ? 1 : 3) + (has_alpha ? 1 : 0);
  Canvas canvas(static_cast<std::int32_t>(width), static_cast<std::int32_t>(height), channels, 1,
                orientation);
  std::vector<std::uint8_t> row(std::size_t{width} * channels);
  for (std::size_t y = 0; y < height; ++y) {
    std::uint8_t* out = row.data();
    for (std::size_t x = 0; x < width; ++x, out += channels) {
      const std::uint32_t pixel = raster[y * width + x];
      const std::uint32_t alpha = TIFFGetA(pixel);
      const std::uint32_t colours[] = {TIFFGetR(pixel), TIFFGetG(pixel), TIFFGetB(pixel)};
      for (int c = 0; c < (gray ? 1 : 3); ++c) {
        out[c] = has_alpha ? divided(colours[c], alpha) : static_cast<std::uint8_t>(colours[c]);
      }
      if (has_alpha) out[channels - 1] = static_cast<std::uint8_t>(alpha);
    }
    canvas.add_row(row.data());
  }
  return canvas.take();
}

#else
constexpr decltype(ImageFormat::decode) decode_tiff = nullptr;
#endif

}  // namespace

const ImageFormat tiff_format{"TIFF", is_tiff, decode_tiff};

}  // namespace qama::io
