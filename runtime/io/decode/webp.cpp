// WebP through libwebp: still pictures, with loss or without. EXIF's orientation is in a chunk
// behind the pixels.
#include "runtime/io/decode/format.h"

#if QAMA_WITH_WEBP
#include <webp/decode.h>

#include "runtime/io/decode/exif.h"
#endif

namespace qama::io {
namespace {

bool is_webp(Bytes bytes) {
  return has_magic(bytes, "RIFF") && has_magic(bytes, "WEBP", 8);
}

#if QAMA_WITH_WEBP

std::size_t little_endian(Bytes bytes, std::size_t at) {
  return std::size_t{bytes[at]} | std::size_t{bytes[at + 1]} << 8 |
         std::size_t{bytes[at + 2]} << 16 | std::size_t{bytes[at + 3]} << 24;
}

Bytes exif_chunk(Bytes bytes) {
  std::size_t at = 12;
  while (at + 8 <= bytes.size()) {
    const std::size_t length = little_endian(bytes, at + 4);
    if (length > bytes.size() - at - 8) return {};
    if (has_magic(bytes, "EXIF", at)) return bytes.subspan(at + 8, length);
    at += 8 + length + length % 2;
  }
  return {};
}

const char* reason(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return "it is cut short";
    case VP8_STATUS_OUT_OF_MEMORY:
      return "no memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it has a feature that libwebp does not read";
    default:
      return "its bits are no picture";
  }
}

Result<Image> decode_webp(Bytes bytes, std::string_view name) {
  const auto damaged = [&](VP8StatusCode status) {
    return bad_format(name, std::string("its WebP data is damaged (") + reason(status) + ")");
  };
  // libwebp reads a lossy picture whose last rows are missing; the file says its length.
  if (little_endian(bytes, 4) > bytes.size() - 8) return damaged(VP8_STATUS_NOT_ENOUGH_DATA);
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) {
    return Error{ErrorCode::internal, "libwebp is another version than its header"};
  }
  const VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &config.input);
  if (status != VP8_STATUS_OK) return damaged(status);
  const WebPBitstreamFeatures& input = config.input;
  if (input.has_animation != 0) {
    return bad_format(name, "it is an animated WebP image, expected a still one");
  }
  QAMA_RETURN_IF_ERROR(check_source_size(name, input.width, input.height));
  const bool lossy = input.format == 1;
  Image out;
  out.width = input.width;
  out.height = input.height;
  out.channels = input.has_alpha != 0 ? 4 : 3;
  if (!lossy || input.has_alpha != 0) {
    // Such a picture is in memory whole, whatever becomes of it.
    QAMA_RETURN_IF_ERROR(check_whole_size(name, input.width, input.height,
                                          "a WebP image without loss or with alpha"));
  } else if (const int factor = reduction(input.width, input.height); factor > 1) {
    out.width = (input.width + factor - 1) / factor;
    out.height = (input.height + factor - 1) / factor;
    config.options.use_scaling = 1;
    config.options.scaled_width = out.width;
    config.options.scaled_height = out.height;
  }
  const std::size_t row_bytes = static_cast<std::size_t>(out.width) * out.channels;
  out.pixels.resize(row_bytes * out.height);
  config.output.colorspace = out.channels == 4 ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = out.pixels.data();
  config.output.u.RGBA.stride = static_cast<int>(row_bytes);
  config.output.u.RGBA.size = out.pixels.size();
  const VP8StatusCode decoded = WebPDecode(bytes.data(), bytes.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (decoded != VP8_STATUS_OK) return damaged(decoded);
  return upright(std::move(out), exif_orientation(exif_chunk(bytes)));
}

#else
constexpr decltype(ImageFormat::decode) decode_webp = nullptr;
#endif

}  // namespace

const ImageFormat webp_format{"WebP", is_webp, decode_webp};

}  // namespace qama::io
