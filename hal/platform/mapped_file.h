// MappedFile: a whole file as read-only memory, read or mapped. What the bytes mean belongs
// elsewhere; reading a file into a vector is file.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "hal/base/result.h"

namespace qama::platform {

/// Movable, not copyable. Thread-safe after open().
///
/// A copy stays what it was, whatever happens to the file. A mapping shows what the file holds: the
/// file must neither be written nor truncated meanwhile (replace it by a rename). unchanged() finds
/// out, and touching a page that the file has lost raises SIGBUS.
class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept { swap(other); }
  MappedFile& operator=(MappedFile&& other) noexcept {
    swap(other);
    return *this;
  }
  ~MappedFile();

  /// Reads the file into memory of its own if it has less than `mapped_from` bytes, else maps it.
  /// NOT_FOUND, IO_ERROR (also for anything but a regular file, and for one that shrinks while it
  /// is read), OUT_OF_MEMORY, SIZE_OVERFLOW. An empty file is empty bytes.
  [[nodiscard]] static Result<MappedFile> open(const std::string& path, std::size_t mapped_from);

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {static_cast<const std::byte*>(address_), size_};
  }
  /// True if the bytes are the file's own pages.
  [[nodiscard]] bool is_mapped() const noexcept { return descriptor_ >= 0; }
  /// IO_ERROR if the file of a mapping has another size or time of change than at open(). A file
  /// that took its name is another file, and no change of this one.
  [[nodiscard]] Status unchanged() const;
  /// Gives the pages of a mapping back to the system; they are read again when touched.
  void release_pages() const noexcept;

 private:
  void swap(MappedFile& other) noexcept {
    std::swap(address_, other.address_);
    std::swap(size_, other.size_);
    std::swap(descriptor_, other.descriptor_);
    std::swap(seconds_, other.seconds_);
    std::swap(nanoseconds_, other.nanoseconds_);
    std::swap(path_, other.path_);
  }

  void* address_ = nullptr;
  std::size_t size_ = 0;
  int descriptor_ = -1;                         // of a mapping, for unchanged()
  std::int64_t seconds_ = 0, nanoseconds_ = 0;  // when the file was last written, at open()
  std::string path_;
};

}  // namespace qama::platform
