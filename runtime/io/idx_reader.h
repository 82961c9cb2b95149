// IdxReader: one IDX file (Y. LeCun's format of MNIST: two zero bytes, type, rank, big-endian
// sizes, data), plain or gzip, read record by record. Only unsigned bytes, which is all that the
// data sets use.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "runtime/io/byte_stream.h"
#include "runtime/io/image.h"

namespace qama::io {

/// A record is everything below the first dimension: an image, or one label byte. One thread at a
/// time. Memory: a record, never the file.
class IdxReader {
 public:
  /// Reads the header and checks it against the file: DATASET_EMPTY (no bytes, or no records),
  /// DATASET_BAD_FORMAT (magic, type, rank other than `rank`, sizes out of bounds, bytes after the
  /// data of a plain file), DATASET_TRUNCATED, NOT_FOUND, IO_ERROR.
  [[nodiscard]] static Result<IdxReader> open(const std::string& path, std::int32_t rank);

  [[nodiscard]] std::int64_t records() const noexcept { return records_; }
  [[nodiscard]] std::int64_t record_bytes() const noexcept { return record_bytes_; }
  /// Sizes below the first dimension: {} for labels, {height, width} for images.
  [[nodiscard]] const std::vector<std::int32_t>& record_shape() const noexcept { return shape_; }
  /// The record that next() gives.
  [[nodiscard]] std::int64_t position() const noexcept { return position_; }

  /// Reads the next record into `out` (record_bytes() bytes). INDEX_OUT_OF_RANGE behind the last
  /// one; after the last one has been read, bytes that follow it are DATASET_BAD_FORMAT.
  Status next(std::span<std::uint8_t> out);
  /// Goes to record `index`, forwards only. INDEX_OUT_OF_RANGE, DATASET_TRUNCATED.
  Status seek(std::int64_t index);

 private:
  explicit IdxReader(ByteStream stream) : stream_(std::move(stream)) {}
  ByteStream stream_;
  std::int64_t records_ = 0;
  std::int64_t record_bytes_ = 0;
  std::vector<std::int32_t> shape_;
  std::int64_t position_ = 0;
};

/// Image `index` of an IDX file of images. The errors of IdxReader; INDEX_OUT_OF_RANGE.
[[nodiscard]] Result<Image> read_idx_image(const std::string& path, std::int64_t index);

}  // namespace qama::io
