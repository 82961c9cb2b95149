#include "runtime/io/byte_stream.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "hal/base/quote.h"
#include "hal/platform/file.h"

namespace qama::io {
namespace {

constexpr unsigned kBufferBytes = 1U << 16;
constexpr std::uint64_t kMostDeflateRatio = 1032;

gzFile handle(void* file) {
  return static_cast<gzFile>(file);
}

}  // namespace

void ByteStream::Close::operator()(void* file) const noexcept {
  gzclose_r(handle(file));
}

Result<ByteStream> ByteStream::open(const std::string& path) {
  ByteStream out;
  out.path_ = path;
  QAMA_ASSIGN_OR_RETURN(out.file_bytes_, platform::file_bytes(path));
  errno = 0;
  out.file_.reset(gzopen(path.c_str(), "rb"));
  if (!out.file_) {
    const int reason = errno != 0 ? errno : ENOMEM;  // zlib's own lack of memory
    return Error{platform::file_error(reason),
                 "file " + quote(path) + " cannot be opened: " + std::strerror(reason)};
  }
  gzbuffer(handle(out.file_.get()), kBufferBytes);
  out.compressed_ = gzdirect(handle(out.file_.get())) == 0;
  return out;
}

Result<ByteStream> ByteStream::standard_input() {
  ByteStream out;
  out.path_ = "-";
  const int own = dup(STDIN_FILENO);
  if (own < 0) {
    return Error{ErrorCode::io_error,
                 std::string("standard input cannot be read: ") + std::strerror(errno)};
  }
  out.file_.reset(gzdopen(own, "rb"));
  if (!out.file_) {
    close(own);
    return Error{ErrorCode::out_of_memory, "standard input cannot be read: out of memory"};
  }
  gzbuffer(handle(out.file_.get()), kBufferBytes);
  out.compressed_ = gzdirect(handle(out.file_.get())) == 0;
  return out;
}

std::uint64_t ByteStream::most_bytes() const noexcept {
  return compressed_ ? file_bytes_ * kMostDeflateRatio : file_bytes_;
}

Error ByteStream::failure() const {
  int code = Z_OK;
  const std::string reason = gzerror(handle(file_.get()), &code);
  if (code == Z_BUF_ERROR) {
    return Error{ErrorCode::dataset_truncated,
                 "file " + quote(path_) + " ends in the middle of its gzip data"};
  }
  if (code == Z_ERRNO) {
    const int number = errno;
    return Error{platform::file_error(number),
                 "file " + quote(path_) + " cannot be read: " + std::strerror(number)};
  }
  if (code == Z_MEM_ERROR) {
    return Error{ErrorCode::out_of_memory, "not enough memory to read file " + quote(path_)};
  }
  return Error{ErrorCode::dataset_bad_format, "file " + quote(path_) + " is damaged gzip data"};
}

Result<std::size_t> ByteStream::read(std::span<std::uint8_t> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const auto part = static_cast<unsigned>(std::min<std::size_t>(out.size() - done, INT_MAX / 2));
    const int got = gzread(handle(file_.get()), out.data() + done, part);
    if (got < 0) return failure();
    done += static_cast<std::size_t>(got);
    if (static_cast<unsigned>(got) < part) break;
  }
  if (done < out.size()) {
    // gzread reports what it could deliver first and why it stopped only through gzerror.
    int code = Z_OK;
    gzerror(handle(file_.get()), &code);
    if (code != Z_OK && code != Z_STREAM_END) return failure();
  }
  return done;
}

Status ByteStream::read_exactly(std::span<std::uint8_t> out, const std::string& what) {
  QAMA_ASSIGN_OR_RETURN(const std::size_t got, read(out));
  if (got == out.size()) return {};
  return Error{ErrorCode::dataset_truncated, "file " + quote(path_) + " ends after " +
                                                 std::to_string(got) + " bytes of " + what +
                                                 ", expected " + std::to_string(out.size())};
}

Status ByteStream::skip(std::uint64_t bytes, const std::string& what) {
  std::uint8_t scrap[4096];
  if (!compressed_ && bytes > sizeof(scrap)) {
    // A seek may pass the end unnoticed; the last byte is read, so that it does not.
    if (bytes > LONG_MAX ||
        gzseek(handle(file_.get()), static_cast<z_off_t>(bytes - 1), SEEK_CUR) < 0) {
      return failure();
    }
    bytes = 1;
  }
  while (bytes > 0) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, sizeof(scrap)));
    QAMA_RETURN_IF_ERROR(read_exactly({scrap, part}, what));
    bytes -= part;
  }
  return {};
}

Status ByteStream::rewind() {
  if (gzrewind(handle(file_.get())) != 0) return failure();
  return {};
}

}  // namespace qama::io
