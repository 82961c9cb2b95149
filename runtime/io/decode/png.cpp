// PNG through libpng, which checks every chunk's CRC and the data's Adler-32. Two things make it
// refuse what it would only warn about: a wrong CRC of any chunk is an error, and so is every
// warning. Chunks that pixels do not depend on are passed over, so that an odd text or colour
// profile is no reason to refuse a picture; their CRCs count all the same.
//
// libpng ends with longjmp. So everything that it reaches lies in Reader, which has no destructor,
// and the functions with setjmp() have no C++ object of their own.
#include <png.h>

#include <csetjmp>
#include <cstdlib>
#include <cstring>

#include "hal/base/quote.h"
#include "runtime/io/decode/exif.h"
#include "runtime/io/decode/format.h"

namespace qama::io {
namespace {

constexpr std::string_view kMagic = "\x89PNG\r\n\x1A\n";

struct Reader {
  png_structp png;
  png_infop info;
  const std::uint8_t* at;
  std::size_t left;
  char problem[160];  ///< empty: none
  bool no_memory;

  // What the header says.
  std::int32_t width, height, channels;
  bool interlaced;
  std::int32_t colours;  ///< of the palette; 0: there is none
  std::uint8_t palette[256][4];
};

Reader& reader_of(png_structp png) {
  return *static_cast<Reader*>(png_get_error_ptr(png));
}

void note(Reader& reader, const char* problem) {
  if (reader.problem[0] != '\0') return;
  std::strncpy(reader.problem, problem, sizeof(reader.problem) - 1);
}

[[noreturn]] void on_error(png_structp png, png_const_charp problem) {
  note(reader_of(png), problem);
  png_longjmp(png, 1);
}

void on_warning(png_structp png, png_const_charp problem) {
  note(reader_of(png), problem);
}

png_voidp take_memory(png_structp png, png_alloc_size_t bytes) {
  void* memory = std::malloc(bytes);
  if (memory == nullptr) static_cast<Reader*>(png_get_mem_ptr(png))->no_memory = true;
  return memory;
}

void give_memory(png_structp, png_voidp memory) {
  std::free(memory);
}

void on_read(png_structp png, png_bytep out, std::size_t bytes) {
  Reader& reader = reader_of(png);
  if (bytes > reader.left) png_error(png, "it is cut short");
  std::memcpy(out, reader.at, bytes);
  reader.at += bytes;
  reader.left -= bytes;
}

/// Not inlined: what it has on the stack must not lie beside setjmp().
[[gnu::noinline]] void read_palette(Reader& reader) {
  png_colorp colours = nullptr;
  png_get_PLTE(reader.png, reader.info, &colours, &reader.colours);
  png_bytep alphas = nullptr;
  int with_alpha = 0;
  png_get_tRNS(reader.png, reader.info, &alphas, &with_alpha, nullptr);
  reader.channels = with_alpha > 0 ? 4 : 3;
  for (int i = 0; i < reader.colours; ++i) {
    const std::uint8_t alpha = i < with_alpha ? alphas[i] : 255;
    const std::uint8_t colour[] = {colours[i].red, colours[i].green, colours[i].blue, alpha};
    std::memcpy(reader.palette[i], colour, sizeof(colour));
  }
}

/// Up to the first pixels. False: `problem` says why.
bool read_header(Reader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_read_fn(reader.png, &reader, on_read);
  png_set_crc_action(reader.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_user_limits(reader.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // the caller's matter
  png_read_info(reader.png, reader.info);
  reader.width = static_cast<std::int32_t>(png_get_image_width(reader.png, reader.info));
  reader.height = static_cast<std::int32_t>(png_get_image_height(reader.png, reader.info));
  reader.interlaced = png_get_interlace_type(reader.png, reader.info) != PNG_INTERLACE_NONE;
  if (reader.interlaced) png_set_interlace_handling(reader.png);
  if (png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_PALETTE) {
    png_set_packing(reader.png);  // a byte a pixel
    read_palette(reader);
    return true;
  }
  // 8 bits a sample, fewer unpacked, a transparent colour as alpha. 16 bits are scaled as
  // v * 255 / 65535, rounded.
  png_set_expand(reader.png);
  png_set_scale_16(reader.png);
  const int colour = png_get_color_type(reader.png, reader.info);
  const bool has_alpha = (colour & PNG_COLOR_MASK_ALPHA) != 0 ||
                         png_get_valid(reader.png, reader.info, PNG_INFO_tRNS) != 0;
  reader.channels = ((colour & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1) + (has_alpha ? 1 : 0);
  return true;
}

/// Indices at the beginning of `row` become colours, from the last to the first. libpng's own
/// expansion takes an index that the palette does not have for black.
void expand_palette(Reader& reader, std::uint8_t* row) {
  for (std::int32_t x = reader.width - 1; x >= 0; --x) {
    const std::uint8_t index = row[x];
    if (index >= reader.colours) png_error(reader.png, "a pixel has a colour beyond its palette");
    std::memcpy(row + static_cast<std::size_t>(x) * reader.channels, reader.palette[index],
                static_cast<std::size_t>(reader.channels));
  }
}

/// All rows and the end, by way of `row`, or of `rows` where not null (interlaced). Each has room
/// for `channels` bytes a pixel.
bool read_pixels(Reader& reader, Canvas& canvas, png_bytep row, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_read_update_info(reader.png, reader.info);
  const std::size_t expected =
      static_cast<std::size_t>(reader.width) * (reader.colours > 0 ? 1 : reader.channels);
  if (png_get_rowbytes(reader.png, reader.info) != expected) {
    png_error(reader.png, "its rows are of another size than its header says");
  }
  if (rows != nullptr) png_read_image(reader.png, rows);
  for (std::int32_t y = 0; y < reader.height; ++y) {
    const png_bytep in = rows != nullptr ? rows[y] : row;
    if (rows == nullptr) png_read_row(reader.png, in, nullptr);
    if (reader.colours > 0) expand_palette(reader, in);
    canvas.add_row(in);
  }
  png_read_end(reader.png, nullptr);
  return reader.problem[0] == '\0';
}

struct Destroy {
  Reader* reader;
  ~Destroy() { png_destroy_read_struct(&reader->png, &reader->info, nullptr); }
};

/// The EXIF data, which may come before the pixels or after them. Empty: there is none. libpng
/// checks the chunk's CRC when it passes over it.
Bytes exif_chunk(Bytes bytes) {
  constexpr std::size_t kOverhead = 12;  // length, type, CRC
  std::size_t at = kMagic.size();
  while (at + kOverhead <= bytes.size()) {
    const std::size_t length = png_get_uint_32(&bytes[at]);
    if (length > bytes.size() - at - kOverhead) return {};
    if (has_magic(bytes, "eXIf", at + 4)) return bytes.subspan(at + 8, length);
    at += length + kOverhead;
  }
  return {};
}

bool is_png(Bytes bytes) {
  return has_magic(bytes, kMagic);
}

Result<Image> decode_png(Bytes bytes, std::string_view name) {
  Reader reader{};
  const Destroy destroy{&reader};
  reader.at = bytes.data();
  reader.left = bytes.size();
  reader.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning,
                                        &reader, take_memory, give_memory);
  if (reader.png != nullptr) reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) {
    return no_memory(name);
  }
  const auto damaged = [&] {
    if (reader.no_memory) return no_memory(name);
    return bad_format(name, std::string("its PNG data is damaged (") + reader.problem + ")");
  };
  if (!read_header(reader)) {
    // Where addresses have 32 bits, libpng refuses a width itself, behind the header's checksum.
    if (std::strstr(reader.problem, "too large for this architecture") != nullptr) {
      QAMA_RETURN_IF_ERROR(
          check_source_size(name, static_cast<std::int32_t>(png_get_uint_32(&bytes[16])),
                            static_cast<std::int32_t>(png_get_uint_32(&bytes[20]))));
    }
    return damaged();
  }
  QAMA_RETURN_IF_ERROR(check_source_size(name, reader.width, reader.height));
  const std::size_t row_bytes = static_cast<std::size_t>(reader.width) * reader.channels;
  std::vector<std::uint8_t> samples;
  std::vector<png_bytep> rows;
  if (reader.interlaced) {
    QAMA_RETURN_IF_ERROR(
        check_whole_size(name, reader.width, reader.height, "an interlaced PNG image"));
    samples.resize(row_bytes * reader.height);
    for (std::int32_t y = 0; y < reader.height; ++y) rows.push_back(&samples[row_bytes * y]);
  } else {
    samples.resize(row_bytes);
  }
  Canvas canvas(reader.width, reader.height, reader.channels,
                reduction(reader.width, reader.height), exif_orientation(exif_chunk(bytes)));
  if (!read_pixels(reader, canvas, samples.data(), rows.empty() ? nullptr : rows.data())) {
    return damaged();
  }
  return canvas.take();
}

}  // namespace

const ImageFormat png_format{"PNG", is_png, decode_png};

}  // namespace qama::io
