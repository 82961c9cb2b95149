#include "runtime/cli/numbers.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>

#include "hal/base/quote.h"

namespace qama::cli {
namespace {

/// Without one '+', and without zeros that CLI11 would take for an octal number.
std::string_view without_plus(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  return text;
}

/// A CLI11 transformation: changes the text, or gives the reason why it is refused.
std::string read_whole(std::string& text) {
  const std::string_view number = without_plus(text);
  const char* const begin = number.data();
  const char* const end = begin + number.size();
  std::int64_t negative = 0;
  std::uint64_t positive = 0;
  const auto [stop, error] = number.starts_with('-') ? std::from_chars(begin, end, negative)
                                                     : std::from_chars(begin, end, positive);
  if (stop != end || number.empty() || error == std::errc::invalid_argument) {
    return quote(text) + " is no whole number in decimal digits";
  }
  if (error == std::errc::result_out_of_range) {
    return quote(text) + " is out of range, expected a number of at most 64 bits";
  }
  text = number.starts_with('-') ? std::to_string(negative) : std::to_string(positive);
  return {};
}

std::string read_real(std::string& text) {
  const std::string_view number = without_plus(text);
  double value = 0;
  const char* const end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, value);
  if (stop != end || number.empty() || error == std::errc::invalid_argument ||
      (error == std::errc() && !std::isfinite(value))) {
    return quote(text) + " is no finite decimal number";
  }
  // Too large and too small are one error to from_chars(); only the former is one here.
  if (error == std::errc::result_out_of_range && std::isinf(std::strtod(text.c_str(), nullptr))) {
    return quote(text) + " is out of range";
  }
  text = std::string(number);
  return {};
}

/// CLI11's checks of these names give the largest double as the end of the range.
std::string read_positive(std::string& text) {
  if (std::strtod(text.c_str(), nullptr) > 0) return {};
  return quote(text) + " is out of range, expected a number above 0";
}

std::string read_seed(std::string& text) {
  if (!text.starts_with('-')) return {};
  return quote(text) + " is out of range, expected a whole number from 0 to " +
         std::to_string(std::numeric_limits<std::uint64_t>::max());
}

}  // namespace

CLI::Validator above_zero() {
  return {read_positive, "POSITIVE"};
}

CLI::Validator zero_or_more() {
  return {read_seed, "NONNEGATIVE"};
}

void read_decimal_numbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    // CLI11 has the name, a colon and the checks in one text.
    const std::string type = option->get_type_name();
    const std::string value = type.substr(0, type.find(':'));
    const bool whole = value == "N";
    if (!whole && value != "MS" && value != "T" && value != "E" && value != "X" &&
        value != "PERCENT") {
      continue;
    }
    // First of all checks, and without a word in the help.
    option->transform(CLI::Validator(whole ? read_whole : read_real, std::string()));
  }
}

}  // namespace qama::cli
