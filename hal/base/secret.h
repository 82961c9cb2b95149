// Passwords and keys: memory that is wiped when it is given back, and files that nobody else may
// read.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace qama {

/// Bytes that are overwritten before their memory is given back. They never move while they grow,
/// so no copy is left behind. A zero follows them, for functions that look for one.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view bytes);
  Secret(const Secret& other) : Secret(other.view()) {}
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret other) noexcept;
  ~Secret();

  [[nodiscard]] std::string_view view() const noexcept {
    return bytes_ == nullptr ? std::string_view("") : std::string_view(bytes_.get(), size_);
  }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

/// Overwrites `text`, also what it does not use of its memory, and empties it.
void wipe(std::string& text) noexcept;

/// How a file of secrets may be, and what an error calls it.
struct SecretFile {
  const std::string& path;
  std::string_view what;         ///< "key file", ...
  std::string_view insist;       ///< the option that makes `others_may` true; may be empty
  bool others_may = false;       ///< group and world may read or write it
  std::size_t most = 64U << 10;  ///< bytes
  ErrorCode refused = ErrorCode::device_auth;
  ErrorCode absent = ErrorCode::io_error;
};
/// The bytes of a regular file. `absent` if there is none; IO_ERROR if it cannot be read, is empty
/// or too long; `refused` if others than its owner may use it.
[[nodiscard]] Result<Secret> read_secret(const SecretFile& file);

/// `text` up to its first end of line.
[[nodiscard]] std::string_view first_line(std::string_view text) noexcept;

}  // namespace qama
