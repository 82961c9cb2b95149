// The table of text formats. To add a format: a file format_NAME.cpp beside this one that defines a
// ProblemFormat, and its line in formats.cpp. Formats whose numbers stand one after the other share
// scanner.h, those made of weighted pairs edge_lines.h.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "hal/text/problem_file.h"

namespace qama::hal {

struct ProblemFormat {
  std::string_view name;
  ProblemKind kind;  ///< of what parse() returns and print() takes
  /// Whether a file is of this format, from its bytes and its name. Formats are asked in the order
  /// of the table.
  bool (*sniff)(std::string_view bytes, std::string_view name) noexcept;
  /// PROBLEM_BAD_FORMAT (with the line), PROBLEM_TOO_LARGE, PROBLEM_BAD_VALUE (a number that is not
  /// finite or not allowed).
  Result<ProblemFile> (*parse)(std::string_view bytes, std::string_view name);
  /// Real numbers have nine digits.
  std::string (*print)(const ProblemFile& file);
};

/// The table. The last format takes every file that no other one claims.
[[nodiscard]] std::span<const ProblemFormat* const> problem_formats() noexcept;
/// Their names.
[[nodiscard]] std::vector<std::string> problem_format_names();

/// Reads a problem. `name` is the file's, for its ending and for messages; an empty `format` lets
/// the file decide. INVALID_ARGUMENT for an unknown format; else as ProblemFormat::parse.
[[nodiscard]] Result<ProblemFile> parse_problem(std::string_view bytes, std::string_view name,
                                                std::string_view format = {});

/// The problem in the last format of its kind: a newer one stands before it in the table, to be
/// asked first.
[[nodiscard]] std::string to_text(const ProblemFile& file);

}  // namespace qama::hal
