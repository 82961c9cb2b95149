// Words of a text one after the other, as names, whole numbers and real numbers, with the line in
// which they stand. For formats of white-space separated numbers in C notation, whatever the
// locale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace qama::hal {

class Scanner {
 public:
  /// `name` is the problem's, for messages.
  Scanner(std::string_view bytes, std::string_view name) noexcept : bytes_(bytes), name_(name) {}

  /// The next word; empty at the end.
  std::string_view word() noexcept;
  /// PROBLEM_BAD_FORMAT below `least` or for another word, PROBLEM_TOO_LARGE above `most`. `what`
  /// names the number in messages.
  Result<std::int64_t> integer(std::string_view what, std::int64_t least, std::int64_t most);
  /// PROBLEM_BAD_VALUE for a number that is not finite.
  Result<double> number(std::string_view what);
  /// PROBLEM_BAD_FORMAT if there is another word.
  Status end();

  /// An error that names the problem and the line.
  [[nodiscard]] Error error(ErrorCode code, const std::string& what) const;
  [[nodiscard]] std::size_t bytes_left() const noexcept { return bytes_.size() - at_; }

 private:
  [[nodiscard]] Error expected(std::string_view what, std::string_view kind,
                               std::string_view got) const;

  std::string_view bytes_;
  std::string_view name_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
};

/// Appends a number with that many digits.
void append_number(std::string& out, double value, int digits = 9);

}  // namespace qama::hal
