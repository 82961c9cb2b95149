// What the operator of the machine brought back: the vendor's JSON, or rows of signs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace qama::hal::csv {

struct AnswerRow {
  std::vector<std::int8_t> signs;  ///< 1 and -1
  std::optional<double> value;     ///< "quboValue": what the machine says of it
};

inline constexpr std::size_t kMaxAnswerBytes = std::size_t{1} << 26;

/// Rows of exactly `spins` signs. JSON: objects with "solutionVector", as a list, alone, or below
/// "data", "out_data" or "results"; or a list of rows. Text: a row a line, numbers with commas,
/// semicolons or blanks between. A row of 0 and 1 has 0 for -1. A byte order mark before either is
/// passed over. INVALID_ARGUMENT, with `path` and the row: no JSON, no row, an item of a list that
/// is none, another size, another value, a quboValue that is no number.
[[nodiscard]] Result<std::vector<AnswerRow>> parse_answer(std::string_view text,
                                                          const std::string& path,
                                                          std::size_t spins);

}  // namespace qama::hal::csv
