// How the command line reads numbers: decimal, the same for every option.
#pragma once

#include <CLI/CLI.hpp>

namespace qama::cli {

/// Checks of options, in place of CLI11's PositiveNumber and NonNegativeNumber.
[[nodiscard]] CLI::Validator above_zero();    ///< of a real number
[[nodiscard]] CLI::Validator zero_or_more();  ///< of a whole number of up to 64 bits

/// Every option of `app` whose value is called N (whole) or MS, T, E, X or PERCENT (real) takes
/// decimal numbers alone: no octal, no hexadecimal, no second sign, no "nan" and no "inf". A number
/// that its type does not hold is refused.
void read_decimal_numbers(CLI::App& app);

}  // namespace qama::cli
