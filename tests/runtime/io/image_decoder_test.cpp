// decode_image(): what a file is, by its bytes; the pictures that people brought; very large ones
// in bounded memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

// jpeglib.h uses size_t and FILE without including their headers.
#include <jpeglib.h>

#include "hal/platform/file.h"
#include "runtime/io/image.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

using test::Bytes;
using testing::HasSubstr;

Bytes text(std::string_view words) {
  return {words.begin(), words.end()};
}

TEST(DecodeImage, FormatIsReadFromTheBytesNotTheName) {
  const Bytes png = test::png_file(3, 3, 1, test::sample_pixels(3, 3, 1));
  EXPECT_OK(decode_image(png, "picture.jpg"));
  EXPECT_ERROR(image_bad_format, decode_image(text("hello, I am a text\n"), "note.png"));
}

TEST(DecodeImage, WhatIsNotReadIsNamed) {
  struct Case {
    Bytes bytes;
    const char* what;
  };
  const Case cases[] = {
      {{}, "it is empty"},
      {text("P"), "it is not an image"},
      {text("hello, I am a text\n"), "it is not an image"},
      {{0, 0, 0, 24, 'f', 't', 'y', 'p', 'h', 'e', 'i', 'c'}, "a HEIC image"},
      {{0, 0, 0, 24, 'f', 't', 'y', 'p', 'a', 'v', 'i', 'f'}, "an AVIF image"},
      {text("%PDF-1.7"), "a PDF document"},
      {text("<!DOCTYPE html>"), "a web page"},
      {text("<svg xmlns="), "an SVG drawing"},
      {text("version https://git-lfs.github.com/spec/v1"), "a pointer of Git LFS"},
      {text("P7\nWIDTH 1"), "a PAM image"},
      {test::gzipped(Bytes(9)), "a gzip file"},
  };
  for (const Case& c : cases) {
    const auto result = decode_image(c.bytes, "a");
    EXPECT_ERROR(image_bad_format, result);
    EXPECT_THAT(result.error().message, HasSubstr(c.what));
    EXPECT_THAT(result.error().message, HasSubstr("expected one of PNG, JPEG"));
  }
  const auto idx = decode_image(test::idx_file({1, 2, 2}, Bytes(4)), "train-images-idx3-ubyte");
  EXPECT_ERROR(image_bad_format, idx);
  EXPECT_THAT(idx.error().message, HasSubstr("FILE:INDEX"));
}

// ---- pictures that were brought: reports/inputs/image of the shared directory
// -----------------------

class BroughtPictures : public testing::Test {
 protected:
  void SetUp() override {
    const auto path = test::shared_path("reports/inputs/image");
    if (!path) GTEST_SKIP() << "SKIPPED: no reports/inputs/image in the shared directory";
    directory_ = *path;
  }
  Result<Image> decode(const std::string& name) const {
    QAMA_ASSIGN_OR_RETURN(const Bytes bytes,
                          platform::read_file((directory_ / name).string(), kMaxImageFileBytes,
                                              ErrorCode::image_too_large));
    return decode_image(bytes, name);
  }
  std::filesystem::path directory_;
};

int largest_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.channels != b.channels || a.pixels.size() != b.pixels.size()) {
    return 256;
  }
  int out = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) {
    out = std::max(out, std::abs(a.pixels[i] - b.pixels[i]));
  }
  return out;
}

double mean_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.channels != b.channels || a.pixels.size() != b.pixels.size()) {
    return 256;
  }
  double out = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) out += std::abs(a.pixels[i] - b.pixels[i]);
  return out / static_cast<double>(a.pixels.size());
}

TEST_F(BroughtPictures, AreReadRight) {
  ASSERT_OK_AND_ASSIGN(const Image reference, decode("ref.png"));
  ASSERT_OK_AND_ASSIGN(const Image pgm, decode("ref.pgm"));
  EXPECT_EQ(largest_difference(reference, pgm), 0);
  ASSERT_OK_AND_ASSIGN(const Image jpeg, decode("ref.jpg"));
  EXPECT_LE(largest_difference(reference, jpeg), 5);
  ASSERT_OK_AND_ASSIGN(const Image line_ends, decode("crlf.pgm"));
  EXPECT_EQ(largest_difference(reference, line_ends), 0);
}

TEST_F(BroughtPictures, TurnedAndMarkedOnesAreTheSamePicture) {
  ASSERT_OK_AND_ASSIGN(const Image upright, decode("big.jpg"));
  ASSERT_OK_AND_ASSIGN(const Image turned, decode("exif6.jpg"));
  EXPECT_LE(mean_difference(upright, turned), 1.0);
  ASSERT_OK_AND_ASSIGN(const Image marked, decode("jfif_adobe0.jpg"));
  EXPECT_EQ(largest_difference(upright, marked), 0);
}

TEST_F(BroughtPictures, AlphaIsKept) {
  for (const char* name : {"white_on_transparent.png", "palette_trns.png"}) {
    ASSERT_OK_AND_ASSIGN(const Image image, decode(name));
    ASSERT_EQ(image.channels, 4) << name;
    int clear = 0;
    for (std::size_t i = 3; i < image.pixels.size(); i += 4) clear += image.pixels[i] == 0 ? 1 : 0;
    EXPECT_GT(clear, 28 * 28 / 2) << name;
    EXPECT_LT(clear, 28 * 28) << name;
  }
}

TEST_F(BroughtPictures, DamagedOnesAreRefused) {
  const auto crc = decode("bitrot_crc.png");
  EXPECT_ERROR(image_bad_format, crc);
  EXPECT_THAT(crc.error().message, HasSubstr("IDAT: incorrect data check"));
  const auto cut = decode("trunc_eoi.jpg");
  EXPECT_ERROR(image_bad_format, cut);
  EXPECT_THAT(cut.error().message, HasSubstr("premature end"));
}

// ---- large pictures
// ---------------------------------------------------------------------------------

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMemoryIsOurs = false;
#else
constexpr bool kMemoryIsOurs = true;
#endif

/// 400 megapixels; 49 under an emulator.
int large_side() {
  return std::getenv("QAMA_TEST_STRIDE") == nullptr ? 20000 : 7000;
}

/// Row y of a large picture: red and green grow to the right, blue downwards.
void large_row(int y, int side, int channels, Bytes& row) {
  for (int x = 0; x < side; ++x) {
    const auto across = static_cast<std::uint8_t>(std::int64_t{x} * 255 / side);
    const auto down = static_cast<std::uint8_t>(std::int64_t{y} * 255 / side);
    for (int c = 0; c < channels; ++c) {
      row[static_cast<std::size_t>(x) * channels + c] = c == 2 || channels == 1 ? down : across;
    }
  }
}

void write_large_jpeg(const std::string& path, int side) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  jpeg_stdio_dest(&jpeg, file);
  jpeg.image_width = jpeg.image_height = static_cast<JDIMENSION>(side);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  Bytes row(static_cast<std::size_t>(side) * 3);
  for (int y = 0; y < side; ++y) {
    if (y % 16 == 0) large_row(y, side, 3, row);
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&jpeg, rows, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::fclose(file);
}

void write_large_png(const std::string& path, int side) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_init_io(png, file);
  png_set_IHDR(png, info, static_cast<png_uint_32>(side), static_cast<png_uint_32>(side), 8,
               PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_set_compression_level(png, 1);
  png_set_filter(png, 0, PNG_FILTER_NONE);
  png_write_info(png, info);
  Bytes row(static_cast<std::size_t>(side));
  for (int y = 0; y < side; ++y) {
    large_row(y, side, 1, row);
    png_write_row(png, row.data());
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  std::fclose(file);
}

/// Reads the picture in a process of its own and checks it there; returns that process's peak
/// memory in MB, or -1 where it did not find what it should.
double peak_of_decoding(const std::string& path, int side, int channels) {
  const pid_t child = fork();
  if (child == 0) {
    const auto bytes = platform::read_file(path, kMaxImageFileBytes, ErrorCode::image_too_large);
    if (!bytes.ok()) _exit(1);
    const auto image = decode_image(*bytes, path);
    if (!image.ok() || image->channels != channels) _exit(2);
    if (image->width != image->height || image->width > side / 2) _exit(3);
    // A quarter from the top and from the left.
    const std::size_t quarter = static_cast<std::size_t>(image->width) / 4;
    const std::size_t at = (quarter * image->width + quarter) * channels;
    for (int c = 0; c < channels; ++c) {
      if (std::abs(image->pixels[at + static_cast<std::size_t>(c)] - 64) > 3) _exit(4);
    }
    _exit(0);
  }
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child) return -1;
  EXPECT_EQ(status, 0) << "exit status " << WEXITSTATUS(status);
  return status == 0 ? static_cast<double>(usage.ru_maxrss) / 1024 : -1;
}

TEST(LargePictures, AreReadInBoundedMemory) {
  const test::TempDir directory;
  const int side = large_side();
  const std::string jpeg = directory.file("large.jpg");
  write_large_jpeg(jpeg, side);
  const double jpeg_peak = peak_of_decoding(jpeg, side, 3);
  const std::string png = directory.file("large.png");
  write_large_png(png, side);
  const double png_peak = peak_of_decoding(png, side, 1);
  std::printf("%d x %d: peak memory %.0f MB as JPEG, %.0f MB as PNG\n", side, side, jpeg_peak,
              png_peak);
  if (!kMemoryIsOurs || std::getenv("QAMA_TEST_STRIDE") != nullptr) return;
  EXPECT_LT(jpeg_peak, 150);
  EXPECT_LT(png_peak, 150);
}

}  // namespace
}  // namespace qama::io
