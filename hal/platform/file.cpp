#include "hal/platform/file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "hal/base/quote.h"

namespace qama::platform {
namespace {

struct Close {
  void operator()(std::FILE* file) const noexcept {
    if (file != stdin) std::fclose(file);
  }
};

Error too_many_bytes(const std::string& path, std::size_t most, ErrorCode code) {
  return Error{code, "file " + quote(path) + " is larger than expected (at most " +
                         std::to_string(most) + " bytes)"};
}

}  // namespace

ErrorCode file_error(int number) noexcept {
  if (number == ENOENT || number == ENOTDIR) return ErrorCode::not_found;
  return number == ENOMEM ? ErrorCode::out_of_memory : ErrorCode::io_error;
}

Result<std::uint64_t> file_bytes(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const int reason = errno;
    if (file_error(reason) == ErrorCode::not_found) {
      return Error{ErrorCode::not_found, "file " + quote(path) + " does not exist"};
    }
    return Error{file_error(reason),
                 "file " + quote(path) + " cannot be opened: " + std::strerror(reason)};
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::io_error,
                 quote(path) + (S_ISDIR(status.st_mode) ? " is a directory, expected a file"
                                                        : " is not a regular file")};
  }
  return static_cast<std::uint64_t>(status.st_size);
}

Result<std::vector<std::uint8_t>> read_file(const std::string& path, std::size_t most,
                                            ErrorCode too_large) {
  const bool standard_input = path == "-";
  std::vector<std::uint8_t> out;
  std::unique_ptr<std::FILE, Close> file(stdin);
  if (!standard_input) {
    QAMA_ASSIGN_OR_RETURN(const std::uint64_t bytes, file_bytes(path));
    if (bytes > most) return too_many_bytes(path, most, too_large);
    out.reserve(static_cast<std::size_t>(bytes));
    file.reset(std::fopen(path.c_str(), "rb"));
    if (!file) {
      const int reason = errno;
      return Error{file_error(reason),
                   "file " + quote(path) + " cannot be opened: " + std::strerror(reason)};
    }
  }
  std::uint8_t buffer[1 << 14];
  while (true) {
    const std::size_t got = std::fread(buffer, 1, sizeof(buffer), file.get());
    if (got > most - out.size()) return too_many_bytes(path, most, too_large);
    out.insert(out.end(), buffer, buffer + got);
    if (got < sizeof(buffer)) break;
  }
  if (std::ferror(file.get()) != 0) {
    const int reason = errno;
    return Error{file_error(reason),
                 "file " + quote(path) + " cannot be read: " + std::strerror(reason)};
  }
  return out;
}

}  // namespace qama::platform
