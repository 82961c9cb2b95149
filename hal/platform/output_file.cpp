#include "hal/platform/output_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>

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

/// A link of the proc file system, which /dev/stdout and /dev/fd lead to. Its text names no file.
bool is_descriptor(const std::string& link) {
  struct statfs system {};
  return ::statfs(directory_of(link).c_str(), &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
}

/// The descriptor of this process that a link for which is_descriptor() holds stands for, or -1.
int own_descriptor(const std::string& link) {
  const std::unique_ptr<char, decltype(&std::free)> folder(
      ::realpath(directory_of(link).c_str(), nullptr), &std::free);
  const std::string name = link.substr(link.rfind('/') + 1);
  const bool number = !name.empty() && name.size() < 10 &&
                      name.find_first_not_of("0123456789") == std::string::npos;
  if (!folder || !number || "/proc/" + std::to_string(::getpid()) + "/fd" != folder.get())
    return -1;
  return std::atoi(name.c_str());
}

/// While it lives, a limit on the size of files is an error of write() in this thread and no signal
/// that ends the process.
class SizeLimitIsAnError {
 public:
  SizeLimitIsAnError() {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGXFSZ);
    blocked_ = ::pthread_sigmask(SIG_BLOCK, &signals_, &before_) == 0;
  }
  SizeLimitIsAnError(const SizeLimitIsAnError&) = delete;
  SizeLimitIsAnError& operator=(const SizeLimitIsAnError&) = delete;
  ~SizeLimitIsAnError() {
    if (!blocked_ || ::sigismember(&before_, SIGXFSZ) == 1) return;
    const int reason = errno;
    const timespec now{};
    while (::sigtimedwait(&signals_, nullptr, &now) > 0) continue;
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = reason;
  }

 private:
  sigset_t signals_{};
  sigset_t before_{};
  bool blocked_ = false;
};

/// Where the links that begin at `path` end; that file may be missing. A link that is_descriptor()
/// is an end, too.
Result<std::string> follow(const std::string& path) {
  std::string at = path;
  for (int links = 0; links < kMostLinks; ++links) {
    struct stat status {};
    if (::lstat(at.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) return at;
    if (is_descriptor(at)) return at;
    if (is_strangers(at, status)) {
      return Error{ErrorCode::io_error, "file " + quote(path) +
                                            " is a link that somebody else put into a directory "
                                            "where everybody may write; it is not followed"};
    }
    std::string to(4096, '\0');
    const ssize_t size = ::readlink(at.c_str(), to.data(), to.size());
    if (size < 0) return error_of(path, errno);
    if (static_cast<std::size_t>(size) == to.size()) return error_of(path, ENAMETOOLONG);
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

/// Calls `make` with new names until it makes one; -1 with its errno otherwise.
template <typename Make>
int with_random_name(const std::string& directory, std::string& name, Make make) {
  int made = -1;
  for (int tries = 0; tries < kMostNames; ++tries) {
    name = random_name(directory);
    made = make(name.c_str());
    if (made >= 0 || (errno != EEXIST && errno != EINTR)) break;
  }
  return made;
}

/// The name under which linkat() finds an open file.
std::string open_name(int descriptor) {
  return "/proc/self/fd/" + std::to_string(descriptor);
}

/// The old file's owner, group and permissions, as far as this user may give them away.
void take_over(int descriptor, const struct stat& old) {
  mode_t mode = old.st_mode & 0777U;
  if (::fchown(descriptor, old.st_uid, old.st_gid) != 0 &&
      ::fchown(descriptor, static_cast<uid_t>(-1), old.st_gid) != 0) {
    // What the old group might do, another one may do only if all may.
    mode &= ~static_cast<mode_t>(S_IRWXG) | ((mode & S_IRWXO) << 3U);
  }
  const int result = ::fchmod(descriptor, mode);
  static_cast<void>(result);
}

}  // namespace

Error OutputFile::failed(int reason) const {
  return error_of(path_, reason);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status OutputFile::open_directly(bool link) {
  const int own = link ? own_descriptor(target_) : -1;
  if (own >= 0) {
    // A copy shares the place in the file with what else is written there.
    if (own == STDOUT_FILENO) std::fflush(stdout);
    descriptor_ = ::fcntl(own, F_DUPFD_CLOEXEC, 0);
  } else {
    const int how = link ? O_APPEND : O_NOFOLLOW;
    descriptor_ = ::open(target_.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC | how);
  }
  if (descriptor_ < 0) return failed(errno);
  struct stat status {};
  const bool changed = !link && (::fstat(descriptor_, &status) != 0 || S_ISREG(status.st_mode));
  // Somebody put a file there a moment ago.
  return changed ? Status(failed(EBUSY)) : Status();
}

Status OutputFile::open_beside(const struct stat* old) {
  const std::string directory = directory_of(target_);
  // Nobody else reads a file that somebody protected while it is written.
  const mode_t mode = old != nullptr ? S_IRUSR | S_IWUSR : 0666;
  // A file without a name, where the file system has them, goes away with its process.
  if (::access("/proc/self/fd", X_OK) == 0) {
    descriptor_ = ::open(directory.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
    unnamed_ = descriptor_ >= 0;
  }
  if (!unnamed_) {
    std::string name;
    descriptor_ = with_random_name(directory, name, [&](const char* free) {
      return ::open(free, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    });
    if (descriptor_ >= 0) temporary_ = name;
  }
  if (descriptor_ < 0) {
    const int reason = errno;
    struct stat parent {};
    if (::stat(directory.c_str(), &parent) != 0 && errno == ENOENT) {
      return Error{ErrorCode::io_error, "file " + quote(path_) + " cannot be written: directory " +
                                            quote(directory) + " does not exist"};
    }
    return Error{ErrorCode::io_error, "file " + quote(path_) +
                                          " cannot be written: no file can be made in directory " +
                                          quote(directory) + ": " + std::strerror(reason)};
  }
  if (old != nullptr) take_over(descriptor_, *old);
  return {};
}

Result<OutputFile> OutputFile::create(const std::string& path) {
  OutputFile out;
  out.path_ = path;
  if (path.empty()) return error_of(path, ENOENT);
  QAMA_ASSIGN_OR_RETURN(out.target_, follow(path));
  struct stat old {};
  const bool link = ::lstat(out.target_.c_str(), &old) == 0 && S_ISLNK(old.st_mode);
  const bool exists = ::stat(out.target_.c_str(), &old) == 0;
  if (exists && S_ISDIR(old.st_mode)) {
    return Error{ErrorCode::io_error, quote(path) + " is a directory, expected a file"};
  }
  if (link || (exists && !S_ISREG(old.st_mode))) {
    QAMA_RETURN_IF_ERROR(out.open_directly(link));
    return out;
  }
  // A file that may not be written is not replaced either.
  if (exists && ::access(out.target_.c_str(), W_OK) != 0) return error_of(path, errno);
  QAMA_RETURN_IF_ERROR(out.open_beside(exists ? &old : nullptr));
  return out;
}

Status OutputFile::write(std::string_view text) {
  const SizeLimitIsAnError guard;
  while (!text.empty()) {
    const ssize_t size = ::write(descriptor_, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return failed(size < 0 ? errno : EIO);
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return {};
}

Status OutputFile::commit() {
  // A terminal or a pipe has nothing to wait for, and says so.
  const bool kept =
      ::fsync(descriptor_) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP;
  if (!kept) return failed(errno);
  if (unnamed_) {
    const std::string file = open_name(descriptor_);
    std::string name;
    const int linked = with_random_name(directory_of(target_), name, [&](const char* free) {
      return ::linkat(AT_FDCWD, file.c_str(), AT_FDCWD, free, AT_SYMLINK_FOLLOW);
    });
    if (linked != 0) return failed(errno);
    temporary_ = name;
  }
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
