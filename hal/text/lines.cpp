#include "hal/text/lines.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "hal/base/quote.h"

namespace qama::hal {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/// Of a text that is not empty.
bool begins_comment(std::string_view text) {
  const char first = text.front();
  return first == '#' || first == '%' || (first == '/' && text.starts_with("//"));
}

/// Whether digits in C notation that do not fit a double are too small for it, not too large: from
/// the place of the first digit that is not 0, and the exponent.
bool is_tiny(std::string_view digits) {
  if (digits.starts_with('-')) digits.remove_prefix(1);
  const std::size_t e = digits.find_first_of("eE");
  const std::string_view mantissa = digits.substr(0, e);
  std::int64_t exponent = 0;
  if (e != std::string_view::npos) {
    std::string_view text = digits.substr(e + 1);
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), exponent);
    if (code == std::errc::result_out_of_range) return text.starts_with('-');
    (void)end;
  }
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  const std::size_t first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) return true;
  const auto place = static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first);
  return exponent + place < 0;
}

}  // namespace

Lines::Lines(std::string_view bytes, std::string_view name, char separator) noexcept
    : bytes_(bytes), name_(name), separator_(separator) {}

bool Lines::next() {
  words_.clear();
  while (words_.empty() && at_ < bytes_.size()) {
    ++line_;
    const std::size_t end = std::min(bytes_.find('\n', at_), bytes_.size());
    std::string_view rest = bytes_.substr(at_, end - at_);
    at_ = std::min(end + 1, bytes_.size());
    while (!rest.empty()) {
      if (is_space(rest.front())) {
        rest.remove_prefix(1);
        continue;
      }
      if (begins_comment(rest)) break;
      std::size_t length = 0;
      while (length < rest.size() && !is_space(rest[length]) && rest[length] != separator_)
        ++length;
      words_.push_back(rest.substr(0, length));
      rest.remove_prefix(length);
      if (separator_ == ' ') continue;
      while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
      if (rest.starts_with(separator_)) {
        rest.remove_prefix(1);
        // Nothing behind the last one: a word is missing, unless the line ends with one.
        const bool last = rest.find_first_not_of(" \t\r") == std::string_view::npos;
        if (last) break;
      }
    }
    if (!words_.empty() && words_.front() == "c") words_.clear();
  }
  return !words_.empty();
}

Result<std::int64_t> Lines::integer(std::size_t k, std::string_view what, std::int64_t least,
                                    std::int64_t most) const {
  const std::string_view text = word(k);
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || code == std::errc::invalid_argument || end != text.data() + text.size()) {
    return expected(what, "a whole number", k);
  }
  const bool huge = code == std::errc::result_out_of_range;
  if (huge || value < least || value > most) {
    const bool above = huge ? !text.starts_with('-') : value > most;
    return error(above ? ErrorCode::problem_too_large : ErrorCode::problem_bad_format,
                 std::string(what) + " is " + (huge ? quote(text) : std::string(text)) +
                     ", expected " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

Result<double> Lines::number(std::size_t k, std::string_view what) const {
  const std::string_view text = word(k);
  std::string_view digits = text;
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);
  double value = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = end == digits.data() + digits.size();
  if (whole && code == std::errc::result_out_of_range && is_tiny(digits)) {
    return error(ErrorCode::problem_bad_value,
                 std::string(what) + " is " + quote(text) +
                     ", which is not 0 and smaller than any double (4.9e-324)");
  }
  if (whole &&
      (code == std::errc::result_out_of_range || (code == std::errc() && !std::isfinite(value)))) {
    return error(ErrorCode::problem_bad_value,
                 std::string(what) + " is " + quote(text) + ", expected a finite number");
  }
  if (code != std::errc() || !whole) return expected(what, "a number", k);
  return value;
}

Status Lines::at_most(std::size_t expected) const {
  if (words_.size() <= expected) return {};
  return error(ErrorCode::problem_bad_format,
               quote(words_[expected]) + " follows the last number, expected the end of the line");
}

Error Lines::error(ErrorCode code, const std::string& what) const {
  return Error{code, "problem " + quote(name_) + ", line " +
                         std::to_string(std::max<std::int64_t>(line_, 1)) + ": " + what};
}

Error Lines::expected(std::string_view what, std::string_view kind, std::size_t k) const {
  const std::string_view got = word(k);
  if (got.empty()) return error(ErrorCode::problem_bad_format, std::string(what) + " is missing");
  return error(ErrorCode::problem_bad_format,
               std::string(what) + " is " + quote(got) + ", expected " + std::string(kind));
}

void append_number(std::string& out, double value, int digits) {
  char text[40];
  const auto [end, code] = digits == 0 ? std::to_chars(text, text + sizeof(text), value)
                                       : std::to_chars(text, text + sizeof(text), value,
                                                       std::chars_format::general, digits);
  out.append(text, code == std::errc() ? end : text);
}

}  // namespace qama::hal
