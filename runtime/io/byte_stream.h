// ByteStream: reads a file from front to back, plain or gzip (told apart by its first bytes), in
// bounded memory. What the data set readers are built on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "hal/base/result.h"

namespace qama::io {

/// One thread at a time. Memory: one fixed buffer, whatever the file says of itself.
class ByteStream {
 public:
  /// NOT_FOUND, IO_ERROR.
  [[nodiscard]] static Result<ByteStream> open(const std::string& path);
  /// What comes from standard input, as the file "-". It is read once: no rewind(). IO_ERROR.
  [[nodiscard]] static Result<ByteStream> standard_input();

  /// Reads up to out.size() bytes; fewer only at the end. DATASET_TRUNCATED where a gzip file stops
  /// in the middle, DATASET_BAD_FORMAT where it is corrupt, IO_ERROR.
  [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out);
  /// Reads exactly out.size() bytes; DATASET_TRUNCATED names `what` otherwise.
  Status read_exactly(std::span<std::uint8_t> out, const std::string& what);
  /// Passes over `bytes` bytes; DATASET_TRUNCATED where there are fewer.
  Status skip(std::uint64_t bytes, const std::string& what);
  /// Back to the first byte.
  Status rewind();

  /// Bytes of the content: exact for a plain file; for gzip an upper bound, as deflate packs at
  /// most 1032 bytes into one. A header that promises more is lying.
  [[nodiscard]] std::uint64_t most_bytes() const noexcept;
  [[nodiscard]] bool is_compressed() const noexcept { return compressed_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  struct Close {
    void operator()(void* file) const noexcept;
  };
  ByteStream() = default;
  [[nodiscard]] Error failure() const;

  std::string path_;
  std::unique_ptr<void, Close> file_;  ///< zlib's gzFile
  std::uint64_t file_bytes_ = 0;
  bool compressed_ = false;
};

}  // namespace qama::io
