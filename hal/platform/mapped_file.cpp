#include "hal/platform/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

#include "hal/base/quote.h"
#include "hal/platform/file.h"

namespace qama::platform {
namespace {

Error failed(const std::string& path, std::string_view action, int number) {
  return {file_error(number), quote(path) + ": " + std::string(action) + ": " +
                                  std::generic_category().message(number)};
}

/// Fills all of `size` bytes from the file's begin.
Status read_all(const std::string& path, int descriptor, void* to, std::size_t size) {
  auto* out = static_cast<std::byte*>(to);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(descriptor, out + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(path, "cannot read", errno);
    if (got == 0) {
      return Error{ErrorCode::io_error, quote(path) + ": " + std::to_string(done) +
                                            " bytes, expected " + std::to_string(size) +
                                            ": the file shrank while it was read"};
    }
    done += static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path, std::size_t mapped_from) {
  // O_NONBLOCK: opening a pipe must fail below instead of waiting for a writer.
  MappedFile out;
  out.descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (out.descriptor_ < 0) return failed(path, "cannot open", errno);

  struct stat info {};
  if (fstat(out.descriptor_, &info) != 0) return failed(path, "cannot stat", errno);
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorCode::io_error, quote(path) + ": expected a regular file"};
  }
  if (static_cast<std::uint64_t>(info.st_size) > std::numeric_limits<std::size_t>::max()) {
    return Error{ErrorCode::size_overflow, quote(path) + ": larger than the address space"};
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  const bool mapped = size >= mapped_from && size > 0;
  if (size > 0) {
    // A copy lies in pages of its own, too: they are aligned, need no zeroes of ours, and can be
    // made read-only.
    void* address = mapped ? mmap(nullptr, size, PROT_READ, MAP_PRIVATE, out.descriptor_, 0)
                           : mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (address == MAP_FAILED) return failed(path, mapped ? "cannot map" : "cannot read", errno);
    out.address_ = address;
    out.size_ = size;
    out.path_ = path;
    out.seconds_ = info.st_mtim.tv_sec;
    out.nanoseconds_ = info.st_mtim.tv_nsec;
    if (!mapped) {
      QAMA_RETURN_IF_ERROR(read_all(path, out.descriptor_, address, size));
      if (mprotect(address, size, PROT_READ) != 0) return failed(path, "cannot read", errno);
    }
  }
  if (!mapped) ::close(std::exchange(out.descriptor_, -1));
  return out;
}

MappedFile::~MappedFile() {
  if (address_ != nullptr) munmap(address_, size_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status MappedFile::unchanged() const {
  if (!is_mapped()) return {};
  struct stat now {};
  if (fstat(descriptor_, &now) != 0) return failed(path_, "cannot stat", errno);
  if (static_cast<std::uint64_t>(now.st_size) == size_ && now.st_mtim.tv_sec == seconds_ &&
      now.st_mtim.tv_nsec == nanoseconds_) {
    return {};
  }
  return Error{ErrorCode::io_error, quote(path_) + ": the file was changed after it was opened (" +
                                        std::to_string(now.st_size) + " bytes, expected " +
                                        std::to_string(size_) +
                                        "); a file in use is replaced by a rename, never in place"};
}

void MappedFile::release_pages() const noexcept {
  if (is_mapped()) madvise(address_, size_, MADV_DONTNEED);
}

}  // namespace qama::platform
