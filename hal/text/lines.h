// A text line by line: the words of each line that is no comment, as names, whole numbers and real
// numbers, with the line's number in every error. Numbers are in C notation whatever the locale,
// never octal. What all text formats read with.
//
// A comment is a line whose first word is "c", and whatever follows a '#', a '%' or "//" at the
// beginning of a word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace qama::hal {

class Lines {
 public:
  /// `name` is the problem's, for messages. Words end at white space, and at `separator`, which
  /// must stand between two of them where it is not a blank.
  Lines(std::string_view bytes, std::string_view name, char separator = ' ') noexcept;

  /// Goes to the next line that has a word. false: there is none; the line number is then that of
  /// the last one.
  bool next();
  /// Words of the line.
  [[nodiscard]] std::size_t size() const noexcept { return words_.size(); }
  /// Word k, empty behind the last one.
  [[nodiscard]] std::string_view word(std::size_t k) const noexcept {
    return k < words_.size() ? words_[k] : std::string_view();
  }

  /// Word k as a number; `what` names it in messages: "index i". PROBLEM_BAD_FORMAT if it is
  /// missing, another word or below `least`, PROBLEM_TOO_LARGE above `most`.
  [[nodiscard]] Result<std::int64_t> integer(std::size_t k, std::string_view what,
                                             std::int64_t least, std::int64_t most) const;
  /// PROBLEM_BAD_VALUE for a number that is not finite, or too small for a double.
  [[nodiscard]] Result<double> number(std::size_t k, std::string_view what) const;
  /// PROBLEM_BAD_FORMAT if the line has more words than `expected`.
  [[nodiscard]] Status at_most(std::size_t expected) const;

  /// An error that names the problem and the line.
  [[nodiscard]] Error error(ErrorCode code, const std::string& what) const;
  [[nodiscard]] std::int64_t line() const noexcept { return line_; }
  [[nodiscard]] std::size_t bytes_left() const noexcept { return bytes_.size() - at_; }

 private:
  [[nodiscard]] Error expected(std::string_view what, std::string_view kind, std::size_t k) const;

  std::string_view bytes_;
  std::string_view name_;
  char separator_;
  std::size_t at_ = 0;
  std::int64_t line_ = 0;
  std::vector<std::string_view> words_;
};

/// Appends a number, with that many digits; 0: as few as read back as the same number.
void append_number(std::string& out, double value, int digits = 9);

}  // namespace qama::hal
