#include "hal/platform/output_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "hal/base/quote.h"

namespace qama::platform {
namespace {

constexpr int kMostLinks = 40;  // as the kernel
constexpr int kMostNames = 100;

Error error_of(const std::string& path, int reason) {
  return {ErrorCode::io_error,
          "file " + quote(path) + " cannot be written: " + std::strerror(reason)};
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// The kernel's rule for links that open() follows (protected_symlinks), which readlink() does not
/// know.
bool is_strangers(const std::string& link, const struct stat& status) {
  struct stat directory {};
  if (::stat(directory_of(link).c_str(), &directory) != 0) return true;
  const bool everybodys = (directory.st_mode & S_ISVTX) != 0 && (directory.st_mode & S_IWOTH) != 0;
  return everybodys && status.st_uid != ::geteuid() && status.st_uid != directory.st_uid;
}

/// Where the links that begin at `path` end; that file may be missing.
Result<std::string> follow(const std::string& path) {
  std::string at = path;
  for (int links = 0; links < kMostLinks; ++links) {
    struct stat status {};
    if (::lstat(at.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) return at;
    if (is_strangers(at, status)) {
      return Error{ErrorCode::io_error, "file " + quote(path) +
                                            " is a link that somebody else put into a directory "
                                            "where everybody may write; it is not followed"};
    }
    std::string to(4096, '\0');
    const ssize_t size = ::readlink(at.c_str(), to.data(), to.size());
    if (size < 0 || static_cast<std::size_t>(size) == to.size()) return error_of(path, errno);
    to.resize(static_cast<std::size_t>(size));
    at = to.starts_with('/') ? to : directory_of(at) + "/" + to;
  }
  return error_of(path, ELOOP);
}

std::string random_name(const std::string& directory) {
  std::uint64_t number = 0;
  // Bytes that are missing leave a name that can be guessed, which O_EXCL makes harmless.
  if (::getrandom(&number, sizeof number, GRND_NONBLOCK) < 0) {
    number = static_cast<std::uint64_t>(::getpid());
  }
  char name[32];
  std::snprintf(name, sizeof name, "/.qama-%016llx", static_cast<unsigned long long>(number));
  return directory + name;
}

}  // namespace

Error OutputFile::failed(int reason) const {
  return error_of(path_, reason);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<OutputFile> OutputFile::create(const std::string& path) {
  OutputFile out;
  out.path_ = path;
  if (path.empty()) return error_of(path, ENOENT);
  QAMA_ASSIGN_OR_RETURN(out.target_, follow(path));
  struct stat old {};
  const bool exists = ::stat(out.target_.c_str(), &old) == 0;
  if (exists && S_ISDIR(old.st_mode)) {
    return Error{ErrorCode::io_error, quote(path) + " is a directory, expected a file"};
  }
  if (exists && !S_ISREG(old.st_mode)) {
    out.descriptor_ = ::open(out.target_.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (out.descriptor_ < 0) return error_of(path, errno);
    return out;
  }
  // A file that may not be written is not replaced either.
  if (exists && ::access(out.target_.c_str(), W_OK) != 0) return error_of(path, errno);
  const std::string directory = directory_of(out.target_);
  for (int tries = 0; tries < kMostNames && out.descriptor_ < 0; ++tries) {
    const std::string name = random_name(directory);
    out.descriptor_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                             S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH);
    if (out.descriptor_ >= 0) {
      out.temporary_ = name;
    } else if (errno != EEXIST && errno != EINTR) {
      break;
    }
  }
  if (out.descriptor_ < 0) {
    const int reason = errno;
    struct stat parent {};
    if (::stat(directory.c_str(), &parent) != 0 && errno == ENOENT) {
      return Error{ErrorCode::io_error, "file " + quote(path) + " cannot be written: directory " +
                                            quote(directory) + " does not exist"};
    }
    return Error{ErrorCode::io_error, "file " + quote(path) +
                                          " cannot be written: no file can be made in directory " +
                                          quote(directory) + ": " + std::strerror(reason)};
  }
  if (exists) {
    // A file of another owner keeps him where the system allows it.
    const int owner = ::fchown(out.descriptor_, old.st_uid, old.st_gid);
    const int mode = ::fchmod(out.descriptor_, old.st_mode & 0777U);
    static_cast<void>(owner);
    static_cast<void>(mode);
  }
  return out;
}

Status OutputFile::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(descriptor_, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed(errno);
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return {};
}

Status OutputFile::commit() {
  // A terminal or a pipe has nothing to wait for, and says so.
  const bool kept = ::fsync(descriptor_) == 0 || errno == EINVAL || errno == EROFS ||
                    errno == ENOTSUP || temporary_.empty();
  if (!kept) return failed(errno);
  const bool closed = ::close(std::exchange(descriptor_, -1)) == 0 || errno == EINTR;
  if (!closed) return failed(errno);
  if (temporary_.empty()) return {};
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) return failed(errno);
  temporary_.clear();
  // The name, too. It is there for everybody already: what fails here is no error of the file.
  const int directory = ::open(directory_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    const int synced = ::fsync(directory);
    static_cast<void>(synced);
    ::close(directory);
  }
  return {};
}

Status write_file(const std::string& path, std::string_view text) {
  QAMA_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  QAMA_RETURN_IF_ERROR(file.write(text));
  return file.commit();
}

Status write_file(const std::string& path, std::span<const std::byte> bytes) {
  return write_file(path,
                    std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

bool same_file(const std::string& path, const std::string& other) {
  const auto find = [](const std::string& name, struct stat& status) {
    return (name == "-" ? ::fstat(STDIN_FILENO, &status) : ::stat(name.c_str(), &status)) == 0;
  };
  struct stat a {};
  struct stat b {};
  if (!find(path, a) || !find(other, b)) return false;
  return S_ISREG(a.st_mode) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace qama::platform
