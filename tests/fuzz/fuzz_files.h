// Files of a fuzz target: a surface that reads a path gets one, and nothing is left on a disk.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qama::fuzz {

/// The parts of an input: what stands between the words "FUZZ". A mutation cuts and joins them.
inline std::vector<std::span<const std::uint8_t>> parts_of(std::span<const std::uint8_t> data,
                                                           std::size_t most) {
  constexpr std::string_view kBetween = "FUZZ";
  std::vector<std::span<const std::uint8_t>> out;
  std::string_view rest(reinterpret_cast<const char*>(data.data()), data.size());
  while (out.size() + 1 < most) {
    const std::size_t at = rest.find(kBetween);
    if (at == std::string_view::npos) break;
    out.push_back(data.subspan(data.size() - rest.size(), at));
    rest.remove_prefix(at + kBetween.size());
  }
  out.push_back(data.last(rest.size()));
  return out;
}

inline std::string text_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline void write_all(int file, std::span<const std::uint8_t> bytes) {
  if (file < 0 || ::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    std::abort();
}

/// A file in memory that only its owner may read, as credentials have to be.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::uint8_t> bytes) : file_(::memfd_create("fuzz", 0)) {
    write_all(file_, bytes);
    if (::fchmod(file_, S_IRUSR | S_IWUSR) != 0) std::abort();
  }
  ~MemoryFile() { ::close(file_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

/// A folder of a few files, in memory where the system has a place for that. It ends with the
/// program.
class Folder {
 public:
  Folder() {
    std::error_code error;
    std::string name = std::filesystem::is_directory("/dev/shm", error)
                           ? "/dev/shm"
                           : std::filesystem::temp_directory_path(error).string();
    name += "/qama-fuzz-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Makes the file, or writes it again.
  void write(const std::string& name, std::span<const std::uint8_t> bytes) const {
    const std::string whole = path_ + "/" + name;
    int file = ::open(whole.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) {
      std::error_code error;
      std::filesystem::create_directories(std::filesystem::path(whole).parent_path(), error);
      file = ::open(whole.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
    }
    write_all(file, bytes);
    ::close(file);
  }
  void remove(const std::string& name) const { ::unlink((path_ + "/" + name).c_str()); }

 private:
  std::string path_;
};

}  // namespace qama::fuzz
