#include "hal/text/scanner.h"

#include <charconv>
#include <cmath>

#include "hal/base/quote.h"

namespace qama::hal {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace

std::string_view Scanner::word() noexcept {
  while (at_ < bytes_.size() && is_space(bytes_[at_])) {
    if (bytes_[at_] == '\n') ++line_;
    ++at_;
  }
  const std::size_t begin = at_;
  while (at_ < bytes_.size() && !is_space(bytes_[at_])) ++at_;
  return bytes_.substr(begin, at_ - begin);
}

Result<std::int64_t> Scanner::integer(std::string_view what, std::int64_t least,
                                      std::int64_t most) {
  const std::string_view text = word();
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) {
    return expected(what, "a whole number", text);
  }
  if (value < least || value > most) {
    return error(value > most ? ErrorCode::problem_too_large : ErrorCode::problem_bad_format,
                 std::string(what) + " is " + std::to_string(value) + ", expected " +
                     std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

Result<double> Scanner::number(std::string_view what) {
  const std::string_view text = word();
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  double value = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (code == std::errc::result_out_of_range || (code == std::errc() && !std::isfinite(value))) {
    return error(ErrorCode::problem_bad_value,
                 std::string(what) + " is " + quote(text) + ", expected a finite number");
  }
  if (code != std::errc() || end != digits.data() + digits.size()) {
    return expected(what, "a number", text);
  }
  return value;
}

Status Scanner::end() {
  const std::string_view text = word();
  if (text.empty()) return {};
  return error(ErrorCode::problem_bad_format,
               quote(text) + " follows the last number, expected the end of the file");
}

Error Scanner::error(ErrorCode code, const std::string& what) const {
  return Error{code, "problem " + quote(name_) + ", line " + std::to_string(line_) + ": " + what};
}

Error Scanner::expected(std::string_view what, std::string_view kind, std::string_view got) const {
  return error(ErrorCode::problem_bad_format, std::string(what) + " is " +
                                                  (got.empty() ? "missing" : quote(got)) +
                                                  ", expected " + std::string(kind));
}

void append_number(std::string& out, double value, int digits) {
  char text[40];
  const auto [end, code] =
      std::to_chars(text, text + sizeof(text), value, std::chars_format::general, digits);
  out.append(text, code == std::errc() ? end : text);
}

}  // namespace qama::hal
