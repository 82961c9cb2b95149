// OutputFile: the one way in which this project writes a file. The text goes into a new file beside
// the target, which takes the target's name once all of it is on the disk. So a reader sees the old
// file or the new one, and the old one stays if anything fails.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "hal/base/result.h"

struct stat;

namespace qama::platform {

/// A link is followed: its target is replaced, and the link stays. A link that somebody else put
/// into a directory where everybody may write is refused. What is no regular file (a terminal,
/// /dev/null, a pipe) is written directly, and so is a descriptor (/dev/stdout, /dev/fd/3), which
/// goes on where it is. The new file has the old one's permissions, and its owner where the system
/// lets this user give files away; other names (hard links) of the old file keep the old content.
/// Not thread-safe.
///
/// Until commit() the new file has no name, so that nothing is left of it even where the process is
/// killed; on a file system without such files it is .qama- and 16 random digits.
class OutputFile {
 public:
  OutputFile() = default;
  OutputFile(OutputFile&& other) noexcept { swap(other); }
  OutputFile& operator=(OutputFile&& other) noexcept {
    swap(other);
    return *this;
  }
  /// Removes what was not committed.
  ~OutputFile();

  /// Makes the file beside `path`. IO_ERROR with the system's reason, or with the directory that
  /// does not exist.
  [[nodiscard]] static Result<OutputFile> create(const std::string& path);
  /// IO_ERROR (a full disk, a limit on the size of files).
  Status write(std::string_view text);
  /// Waits until the disk has it, and puts it in place. IO_ERROR. At most once.
  Status commit();

 private:
  void swap(OutputFile& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(target_, other.target_);
    std::swap(temporary_, other.temporary_);
    std::swap(descriptor_, other.descriptor_);
    std::swap(unnamed_, other.unnamed_);
  }
  Status open_directly(bool link);
  Status open_beside(const struct stat* old);
  [[nodiscard]] Error failed(int reason) const;

  std::string path_;       // as the caller says it
  std::string target_;     // behind links
  std::string temporary_;  // empty: written directly, or committed
  int descriptor_ = -1;
  bool unnamed_ = false;  // gets its name in commit()
};

/// All three steps. The errors of OutputFile.
Status write_file(const std::string& path, std::span<const std::byte> bytes);
Status write_file(const std::string& path, std::string_view text);

/// True if both names lead to one file. "-" is standard input.
[[nodiscard]] bool same_file(const std::string& path, const std::string& other);

}  // namespace qama::platform
