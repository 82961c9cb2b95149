// MappedFile: a whole file as read-only memory. What the bytes mean belongs elsewhere; reading a
// file into memory of one's own is file.h.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "hal/base/result.h"

namespace qama::platform {

/// Maps at open(), unmaps at the end. Movable, not copyable. The file must neither be written nor
/// truncated meanwhile (replace it by a rename): a mapping shows what the file holds, and touching
/// a page that the file has lost raises SIGBUS. Thread-safe after open().
class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(address_, other.address_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile();

  /// NOT_FOUND, IO_ERROR (also for anything but a regular file), SIZE_OVERFLOW. An empty file is
  /// empty bytes.
  [[nodiscard]] static Result<MappedFile> open(const std::string& path);

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {static_cast<const std::byte*>(address_), size_};
  }
  /// Gives the pages that were read back to the system; they are read again when touched.
  void release_pages() const noexcept;

 private:
  void* address_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace qama::platform
