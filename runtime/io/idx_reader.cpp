#include "runtime/io/idx_reader.h"

#include <limits>

#include "hal/base/checked.h"
#include "hal/base/quote.h"

namespace qama::io {
namespace {

constexpr std::int64_t kMaxRecordBytes = std::int64_t{1} << 26;
constexpr std::int32_t kUnsignedByte = 8;

}  // namespace

Result<IdxReader> IdxReader::open(const std::string& path, std::int32_t rank) {
  QAMA_ASSIGN_OR_RETURN(ByteStream stream, ByteStream::open(path));
  IdxReader out(std::move(stream));
  const auto bad = [&path](const std::string& what) {
    return Error{ErrorCode::dataset_bad_format, "IDX file " + quote(path) + ": " + what};
  };

  std::uint8_t magic[4];
  QAMA_ASSIGN_OR_RETURN(const std::size_t got, out.stream_.read(magic));
  if (got == 0) return Error{ErrorCode::dataset_empty, "IDX file " + quote(path) + " is empty"};
  if (got < sizeof(magic)) {
    return Error{ErrorCode::dataset_truncated,
                 "IDX file " + quote(path) + " ends inside its magic number"};
  }
  if (magic[0] != 0 || magic[1] != 0) return bad("it does not begin with an IDX magic number");
  if (magic[2] != kUnsignedByte) {
    return bad("its data type is " + std::to_string(magic[2]) + ", expected 8 (unsigned bytes)");
  }
  if (magic[3] != rank) {
    return bad("it has " + std::to_string(magic[3]) + " dimensions, expected " +
               std::to_string(rank) +
               (rank == 1   ? " (labels)"
                : rank == 3 ? " (images)"
                            : ""));
  }
  std::int64_t record_bytes = 1;
  for (std::int32_t d = 0; d < rank; ++d) {
    std::uint8_t be[4];
    QAMA_RETURN_IF_ERROR(out.stream_.read_exactly(be, "its sizes"));
    const auto size =
        static_cast<std::int64_t>(std::uint32_t{be[0]} << 24 | be[1] << 16 | be[2] << 8 | be[3]);
    if (d == 0) {
      out.records_ = size;
      continue;
    }
    const auto product = checked_mul(record_bytes, size);
    if (size < 1 || !product || *product > kMaxRecordBytes) {
      return bad("dimension " + std::to_string(d) + " has size " + std::to_string(size) +
                 ", expected 1 or more and at most " + std::to_string(kMaxRecordBytes) +
                 " bytes a record");
    }
    record_bytes = *product;
    out.shape_.push_back(static_cast<std::int32_t>(size));
  }
  out.record_bytes_ = record_bytes;
  if (out.records_ == 0) {
    return Error{ErrorCode::dataset_empty, "IDX file " + quote(path) + " holds no records"};
  }
  // 2^32 records of 2^26 bytes fit an int64.
  const std::int64_t header = 4 + 4 * std::int64_t{rank};
  const std::int64_t expected = header + out.records_ * record_bytes;
  const auto most = static_cast<std::int64_t>(out.stream_.most_bytes());
  if (most < expected) {
    return Error{ErrorCode::dataset_truncated, "IDX file " + quote(path) + " holds at most " +
                                                   std::to_string(most) + " bytes, expected " +
                                                   std::to_string(expected) + " for its " +
                                                   std::to_string(out.records_) + " records"};
  }
  if (!out.stream_.is_compressed() && most > expected) {
    return bad("it has " + std::to_string(most) + " bytes, expected " + std::to_string(expected) +
               " for its " + std::to_string(out.records_) + " records");
  }
  return out;
}

Status IdxReader::next(std::span<std::uint8_t> out) {
  if (out.size() != static_cast<std::size_t>(record_bytes_)) {
    return Error{ErrorCode::invalid_argument, "a record has " + std::to_string(record_bytes_) +
                                                  " bytes, the buffer " +
                                                  std::to_string(out.size())};
  }
  if (position_ >= records_) {
    return Error{ErrorCode::index_out_of_range, "IDX file " + quote(stream_.path()) + " holds " +
                                                    std::to_string(records_) + " records"};
  }
  QAMA_RETURN_IF_ERROR(stream_.read_exactly(out, "record " + std::to_string(position_)));
  ++position_;
  if (position_ == records_) {
    std::uint8_t extra[1];
    QAMA_ASSIGN_OR_RETURN(const std::size_t got, stream_.read(extra));
    if (got != 0) {
      return Error{ErrorCode::dataset_bad_format,
                   "IDX file " + quote(stream_.path()) + ": bytes follow its last record"};
    }
  }
  return {};
}

Status IdxReader::seek(std::int64_t index) {
  if (index < position_ || index >= records_) {
    return Error{ErrorCode::index_out_of_range, "index " + std::to_string(index) + " of IDX file " +
                                                    quote(stream_.path()) + ": expected 0 to " +
                                                    std::to_string(records_ - 1)};
  }
  QAMA_RETURN_IF_ERROR(stream_.skip(static_cast<std::uint64_t>((index - position_) * record_bytes_),
                                    "the records before " + std::to_string(index)));
  position_ = index;
  return {};
}

Result<Image> read_idx_image(const std::string& path, std::int64_t index) {
  QAMA_ASSIGN_OR_RETURN(IdxReader reader, IdxReader::open(path, 3));
  QAMA_RETURN_IF_ERROR(reader.seek(index));
  Image out;
  out.height = reader.record_shape()[0];
  out.width = reader.record_shape()[1];
  out.channels = 1;
  out.pixels.resize(static_cast<std::size_t>(reader.record_bytes()));
  QAMA_RETURN_IF_ERROR(reader.next(out.pixels));
  return out;
}

}  // namespace qama::io
