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

#include "hal/base/quote.h"
#include "hal/platform/file.h"

namespace qama::platform {
namespace {

Error failed(const std::string& path, std::string_view action, int number) {
  return {file_error(number), quote(path) + ": " + std::string(action) + ": " +
                                  std::generic_category().message(number)};
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: opening a pipe must fail below instead of waiting for a writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return failed(path, "cannot open", errno);
  struct Closer {
    int descriptor;
    ~Closer() { ::close(descriptor); }
  } const closer{descriptor};

  struct stat info {};
  if (fstat(descriptor, &info) != 0) return failed(path, "cannot stat", errno);
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorCode::io_error, quote(path) + ": expected a regular file"};
  }
  if (static_cast<std::uint64_t>(info.st_size) > std::numeric_limits<std::size_t>::max()) {
    return Error{ErrorCode::size_overflow, quote(path) + ": larger than the address space"};
  }
  MappedFile out;
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return out;
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (address == MAP_FAILED) return failed(path, "cannot map", errno);
  out.address_ = address;
  out.size_ = size;
  return out;
}

MappedFile::~MappedFile() {
  if (address_ != nullptr) munmap(address_, size_);
}

void MappedFile::release_pages() const noexcept {
  if (address_ != nullptr) madvise(address_, size_, MADV_DONTNEED);
}

}  // namespace qama::platform
