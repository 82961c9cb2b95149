// JPEG through libjpeg-turbo. What libjpeg only warns about and fills with gray (data that is
// missing or damaged) is an error here, and so is what it does not even warn about: a colour or a
// refinement whose scan is missing. libjpeg decides how colours are coded, from the JFIF and the
// Adobe marker and the components' names.
//
// libjpeg ends with longjmp. So everything that it reaches lies in Reader, which has no destructor,
// and the functions with setjmp() have no C++ object of their own.
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>

// jpeglib.h uses size_t and FILE without including their headers.
#include <jerror.h>
#include <jpeglib.h>

#include "hal/base/quote.h"
#include "runtime/io/decode/exif.h"
#include "runtime/io/decode/format.h"

namespace qama::io {
namespace {

constexpr std::string_view kMagic = "\xFF\xD8\xFF";

/// A JPEG of several scans (progressive) has all its coefficients in memory at once. This is a
/// photograph of 50 megapixels with full colours, and one of 100 with halved ones.
constexpr std::uint64_t kMostCoefficientBytes = std::uint64_t{320} << 20;
/// Usual are 10. Each scan costs the time of the whole picture.
constexpr int kMostScans = 100;

struct Reader {
  jpeg_decompress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  char problem[JMSG_LENGTH_MAX];
  bool no_memory;
  Orientation orientation;
  std::int32_t channels;
};

Reader& reader_of(j_common_ptr jpeg) {
  return *static_cast<Reader*>(jpeg->client_data);
}

[[noreturn]] void fail(Reader& reader, const char* problem) {
  std::strncpy(reader.problem, problem, sizeof(reader.problem) - 1);
  std::longjmp(reader.jump, 1);
}

[[noreturn]] void on_error(j_common_ptr jpeg) {
  Reader& reader = reader_of(jpeg);
  reader.errors.format_message(jpeg, reader.problem);
  reader.no_memory = jpeg->err->msg_code == JERR_OUT_OF_MEMORY;
  std::longjmp(reader.jump, 1);
}

/// `level` is -1 for warnings, and 0 up for traces.
void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  const int code = jpeg->err->msg_code;
  // Two that say nothing about pixels: a newer JFIF, and numbers in a scan's header that only a
  // progressive file needs.
  if (code == JWRN_JFIF_MAJOR || code == JWRN_NOT_SEQUENTIAL) return;
  if (code == JWRN_JPEG_EOF) fail(reader_of(jpeg), "it is cut short");
  on_error(jpeg);
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > kMostScans) {
    fail(reader_of(jpeg), "it has more than 100 scans");
  }
}

std::uint64_t coefficient_bytes(const jpeg_decompress_struct& jpeg) {
  std::uint64_t blocks = 0;
  for (int i = 0; i < jpeg.num_components; ++i) {
    blocks += std::uint64_t{jpeg.comp_info[i].width_in_blocks} * jpeg.comp_info[i].height_in_blocks;
  }
  return blocks * DCTSIZE2 * sizeof(JCOEF);
}

/// Whether every component has all bits of all coefficients, so far as the scans' headers say.
/// Precondition: all scans were read, or there is one only.
bool has_all_scans(const jpeg_decompress_struct& jpeg) {
  for (int i = 0; i < jpeg.num_components; ++i) {
    // libjpeg takes a component's quantisation table at its first scan.
    if (jpeg.comp_info[i].quant_table == nullptr) return false;
    for (int k = 0; jpeg.progressive_mode && k < DCTSIZE2; ++k) {
      if (jpeg.coef_bits[i][k] != 0) return false;
    }
  }
  return true;
}

/// Up to the first scan. False: `problem` says why.
bool read_header(Reader& reader, Bytes bytes) {
  if (setjmp(reader.jump) != 0) return false;
  jpeg_create_decompress(&reader.jpeg);
  jpeg_mem_src(&reader.jpeg, bytes.data(), bytes.size());
  reader.jpeg.progress = &reader.progress;
  jpeg_save_markers(&reader.jpeg, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&reader.jpeg, TRUE);
  reader.orientation = 1;
  for (const jpeg_marker_struct* m = reader.jpeg.marker_list; m != nullptr; m = m->next) {
    const Bytes data(m->data, m->data_length);
    if (has_magic(data, std::string_view("Exif\0\0", 6))) {
      reader.orientation = exif_orientation(data);
      break;
    }
  }
  return true;
}

/// Decides on colours and scale; everything that takes memory by the picture's size is after this.
bool choose_output(Reader& reader) {
  if (setjmp(reader.jump) != 0) return false;
  jpeg_decompress_struct& jpeg = reader.jpeg;
  switch (jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE:
      jpeg.out_color_space = JCS_GRAYSCALE;
      reader.channels = 1;
      break;
    case JCS_RGB:
    case JCS_YCbCr:
      jpeg.out_color_space = JCS_RGB;
      reader.channels = 3;
      break;
    case JCS_CMYK:
    case JCS_YCCK:
      jpeg.out_color_space = JCS_CMYK;
      reader.channels = 3;
      break;
    default:
      fail(reader, "its number of colours is not 1, 3 or 4");
  }
  // A half, a quarter or an eighth come out of libjpeg's transform, and are all that it takes.
  const int factor = reduction(jpeg.image_width, jpeg.image_height);
  jpeg.scale_num = 1;
  jpeg.scale_denom = 1;
  while (jpeg.scale_denom < 8 && jpeg.scale_denom < static_cast<unsigned>(factor)) {
    jpeg.scale_denom *= 2;
  }
  jpeg_calc_output_dimensions(&jpeg);
  return true;
}

/// CMYK to RGB in place of the row's beginning, without inks' profiles: c * k / 255. Adobe stores
/// all four inverted.
void to_rgb(std::uint8_t* row, std::int32_t width, bool inverted) {
  const std::uint8_t* in = row;
  const int flip = inverted ? 0 : 255;
  for (std::int32_t x = 0; x < width; ++x, in += 4, row += 3) {
    const int key = in[3] ^ flip;
    for (int c = 0; c < 3; ++c)
      row[c] = static_cast<std::uint8_t>(((in[c] ^ flip) * key + 127) / 255);
  }
}

bool start(Reader& reader) {
  if (setjmp(reader.jump) != 0) return false;
  jpeg_start_decompress(&reader.jpeg);
  return true;
}

bool read_pixels(Reader& reader, Canvas& canvas, std::uint8_t* row) {
  if (setjmp(reader.jump) != 0) return false;
  jpeg_decompress_struct& jpeg = reader.jpeg;
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW rows[] = {row};
    jpeg_read_scanlines(&jpeg, rows, 1);
    if (jpeg.out_color_space == JCS_CMYK) {
      to_rgb(row, static_cast<std::int32_t>(jpeg.output_width), jpeg.saw_Adobe_marker != 0);
    }
    canvas.add_row(row);
  }
  if (!has_all_scans(jpeg)) fail(reader, "scans are missing");
  jpeg_finish_decompress(&jpeg);
  return true;
}

struct Destroy {
  Reader* reader;
  ~Destroy() { jpeg_destroy_decompress(&reader->jpeg); }
};

bool is_jpeg(Bytes bytes) {
  return has_magic(bytes, kMagic);
}

Result<Image> decode_jpeg(Bytes bytes, std::string_view name) {
  Reader reader{};
  const Destroy destroy{&reader};
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = on_error;
  reader.errors.emit_message = on_message;
  reader.errors.output_message = on_output;
  reader.progress.progress_monitor = on_progress;
  reader.jpeg.client_data = &reader;
  const auto damaged = [&] {
    if (reader.no_memory) return no_memory(name);
    return bad_format(name, std::string("its JPEG data is damaged (") + reader.problem + ")");
  };
  if (!read_header(reader, bytes)) return damaged();
  QAMA_RETURN_IF_ERROR(check_source_size(name, reader.jpeg.image_width, reader.jpeg.image_height));
  if (!choose_output(reader)) return damaged();
  if (jpeg_has_multiple_scans(&reader.jpeg) != 0 &&
      coefficient_bytes(reader.jpeg) > kMostCoefficientBytes) {
    return Error{ErrorCode::image_too_large,
                 "image " + quote(name) + ": it is a progressive JPEG of " +
                     std::to_string(reader.jpeg.image_width) + " x " +
                     std::to_string(reader.jpeg.image_height) + ", which takes " +
                     std::to_string(coefficient_bytes(reader.jpeg) >> 20) +
                     " MiB to decode, expected at most " +
                     std::to_string(kMostCoefficientBytes >> 20)};
  }
  if (!start(reader)) return damaged();
  const auto width = static_cast<std::int32_t>(reader.jpeg.output_width);
  std::vector<std::uint8_t> row(static_cast<std::size_t>(width) * reader.jpeg.output_components);
  Canvas canvas(width, static_cast<std::int32_t>(reader.jpeg.output_height), reader.channels, 1,
                reader.orientation);
  if (!read_pixels(reader, canvas, row.data())) return damaged();
  return canvas.take();
}

}  // namespace

const ImageFormat jpeg_format{"JPEG", is_jpeg, decode_jpeg};

}  // namespace qama::io
