#include "hal/base/secret.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Error unreadable(const SecretFile& file, std::string_view why,
                 ErrorCode code = ErrorCode::io_error) {
  return make_error(code, file.what, " ", quote(file.path), " cannot be read: ", why);
}

}  // namespace

Secret::Secret(std::string_view bytes)
    : bytes_(bytes.empty() ? nullptr : new char[bytes.size() + 1]), size_(bytes.size()) {
  if (size_ > 0) *std::copy(bytes.begin(), bytes.end(), bytes_.get()) = '\0';
}

Secret::Secret(Secret&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(size_, other.size_);
  return *this;
}

Secret::~Secret() {
  if (bytes_ != nullptr) ::explicit_bzero(bytes_.get(), size_);
}

void wipe(std::string& text) noexcept {
  text.resize(text.capacity());
  ::explicit_bzero(text.data(), text.size());
  text.clear();
}

Result<Secret> read_secret(const SecretFile& file) {
  const Descriptor in{::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
  struct stat status {};
  if (in.fd < 0 || ::fstat(in.fd, &status) != 0) {
    const int number = errno;
    return unreadable(file, ::strerror(number),
                      number == ENOENT ? file.absent : ErrorCode::io_error);
  }
  if (!S_ISREG(status.st_mode)) return unreadable(file, "it is no regular file");
  const unsigned mode = status.st_mode & 07777U;
  if ((mode & 077U) != 0 && !file.others_may) {
    const char digits[] = {'0', static_cast<char>('0' + (mode >> 6 & 7U)),
                           static_cast<char>('0' + (mode >> 3 & 7U)),
                           static_cast<char>('0' + (mode & 7U)), '\0'};
    return make_error(file.refused, file.what, " ", quote(file.path),
                      " is open to others than its owner: mode ", digits, ", expected 0600",
                      file.insist.empty() ? "" : " (", file.insist,
                      file.insist.empty() ? "" : " insists)");
  }
  // One byte more than allowed, to see that there are no more.
  std::string bytes(file.most + 1, '\0');
  std::size_t size = 0;
  ssize_t got = 0;
  while (size < bytes.size()) {
    got = ::read(in.fd, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  const int failed = got < 0 ? errno : 0;
  Secret out(std::string_view(bytes).substr(0, size));
  wipe(bytes);
  if (failed != 0) return unreadable(file, ::strerror(failed));
  if (size == 0) return unreadable(file, "it is empty");
  if (size > file.most) return unreadable(file, sentence("it has more than ", file.most, " bytes"));
  return out;
}

std::string_view first_line(std::string_view text) noexcept {
  return text.substr(0, text.find_first_of("\r\n"));
}

}  // namespace qama
