// IDX files, plain and gzip: records come back, and a header that lies is refused before it costs
// anything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "runtime/io/idx_reader.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

using test::Bytes;
using testing::ElementsAre;
using testing::HasSubstr;

class IdxFile : public testing::Test {
 protected:
  std::string put(const Bytes& bytes) {
    const std::string path = directory_.file("images.idx");
    test::put_file(path, bytes);
    return path;
  }
  test::TempDir directory_;
};

TEST_F(IdxFile, RecordsOfPlainAndGzipAreTheSame) {
  const Bytes file = test::idx_file({3, 2, 4}, test::sample_pixels(4, 6, 1));
  for (const Bytes& bytes : {file, test::gzipped(file)}) {
    ASSERT_OK_AND_ASSIGN(IdxReader reader, IdxReader::open(put(bytes), 3));
    EXPECT_EQ(reader.records(), 3);
    EXPECT_THAT(reader.record_shape(), ElementsAre(2, 4));
    Bytes all;
    for (int i = 0; i < 3; ++i) {
      Bytes record(8);
      ASSERT_OK(reader.next(record));
      all.insert(all.end(), record.begin(), record.end());
    }
    EXPECT_EQ(all, test::sample_pixels(4, 6, 1));
    Bytes record(8);
    EXPECT_ERROR(index_out_of_range, reader.next(record));
  }
}

TEST_F(IdxFile, AnyImageByIndex) {
  const Bytes pixels = test::sample_pixels(64, 64 * 5, 1);
  const Bytes file = test::idx_file({5, 64, 64}, pixels);
  for (const Bytes& bytes : {file, test::gzipped(file)}) {
    const std::string path = put(bytes);
    for (const int index : {0, 1, 4}) {
      ASSERT_OK_AND_ASSIGN(const Image image, read_idx_image(path, index));
      EXPECT_EQ(image.width, 64);
      EXPECT_EQ(image.channels, 1);
      EXPECT_EQ(image.pixels,
                Bytes(pixels.begin() + index * 4096, pixels.begin() + (index + 1) * 4096));
    }
    const auto outside = read_idx_image(path, 5);
    EXPECT_ERROR(index_out_of_range, outside);
    EXPECT_THAT(outside.error().message, HasSubstr("expected 0 to 4"));
    EXPECT_ERROR(index_out_of_range, read_idx_image(path, -1));
  }
}

TEST_F(IdxFile, EmptyIsNamed) {
  EXPECT_ERROR(dataset_empty, IdxReader::open(put({}), 3));
  EXPECT_ERROR(dataset_empty, IdxReader::open(put(test::gzipped({})), 3));
  EXPECT_ERROR(dataset_empty, IdxReader::open(put(test::idx_file({0, 28, 28}, {})), 3));
}

TEST_F(IdxFile, BadHeaders) {
  EXPECT_ERROR(dataset_bad_format, IdxReader::open(put({'h', 'e', 'l', 'l', 'o'}), 3));
  EXPECT_ERROR(dataset_bad_format, IdxReader::open(put({0, 0, 13, 3}), 3));  // floats
  EXPECT_ERROR(dataset_bad_format, IdxReader::open(put(test::idx_file({1}, {7})), 3));
  EXPECT_ERROR(dataset_bad_format, IdxReader::open(put(test::idx_file({1, 0, 28}, {})), 3));
  EXPECT_ERROR(dataset_bad_format,
               IdxReader::open(put(test::idx_file({1, 0xFFFFFFFF, 0xFFFFFFFF}, {})), 3));
  EXPECT_ERROR(dataset_truncated, IdxReader::open(put({0, 0}), 3));
  EXPECT_ERROR(dataset_truncated, IdxReader::open(put({0, 0, 8, 3, 0, 0}), 3));
  EXPECT_ERROR(not_found, IdxReader::open(directory_.file("absent"), 3));
  EXPECT_ERROR(io_error, IdxReader::open(directory_.path().string(), 3));
}

TEST_F(IdxFile, PromisedRecordsMustFitTheFile) {
  EXPECT_ERROR(dataset_truncated, IdxReader::open(put(test::idx_file({2, 2, 2}, Bytes(7))), 3));
  EXPECT_ERROR(dataset_bad_format, IdxReader::open(put(test::idx_file({2, 2, 2}, Bytes(9))), 3));
  // Four thousand million images in a few bytes: refused by the header alone, packed or not.
  const Bytes liar = test::idx_file({0xFFFFFFFF, 1024, 1024}, Bytes(100));
  EXPECT_ERROR(dataset_truncated, IdxReader::open(put(liar), 3));
  EXPECT_ERROR(dataset_truncated, IdxReader::open(put(test::gzipped(liar)), 3));
}

TEST_F(IdxFile, GzipThatEndsEarlyOrIsDamaged) {
  const Bytes file = test::idx_file({40, 16, 16}, test::sample_pixels(16, 640, 1));
  const Bytes packed = test::gzipped(file);
  int refused = 0;
  for (std::size_t bytes = 0; bytes < packed.size(); bytes += 7) {
    auto reader = IdxReader::open(put(Bytes(packed.begin(), packed.begin() + bytes)), 3);
    Status status = reader.ok() ? Status() : Status(reader.error());
    Bytes record(256);
    for (int i = 0; i < 40 && status.ok(); ++i) status = reader->next(record);
    EXPECT_FALSE(status.ok()) << bytes;
    ++refused;
  }
  EXPECT_GT(refused, 10);

  Bytes damaged = packed;
  damaged[damaged.size() / 2] ^= 0xFF;
  auto reader = IdxReader::open(put(damaged), 3);
  Status status = reader.ok() ? Status() : Status(reader.error());
  Bytes record(256);
  for (int i = 0; i < 40 && status.ok(); ++i) status = reader->next(record);
  EXPECT_ERROR(dataset_bad_format, status);
}

TEST_F(IdxFile, GzipWithMoreThanItsHeaderSays) {
  const std::string path = put(test::gzipped(test::idx_file({2, 2, 2}, Bytes(9))));
  ASSERT_OK_AND_ASSIGN(IdxReader reader, IdxReader::open(path, 3));
  Bytes record(4);
  EXPECT_OK(reader.next(record));
  EXPECT_ERROR(dataset_bad_format, reader.next(record));
}

TEST_F(IdxFile, MnistTestSetOfTheSharedDirectory) {
  QAMA_SHARED_OR_SKIP(path, "data/mnist/t10k-images-idx3-ubyte.gz");
  ASSERT_OK_AND_ASSIGN(const IdxReader reader, IdxReader::open(path.string(), 3));
  EXPECT_EQ(reader.records(), 10000);
  ASSERT_OK_AND_ASSIGN(const Image last, read_idx_image(path.string(), 9999));
  EXPECT_THAT(last.pixels, testing::Contains(testing::Gt(200)));
}

}  // namespace
}  // namespace qama::io
