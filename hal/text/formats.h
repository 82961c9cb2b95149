// The table of text formats. To add a format: a file format_NAME.cpp beside this one that defines a
// ProblemFormat, and its line in formats.cpp. All read with lines.h; those made of weighted pairs
// share pairs.h.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "hal/text/problem_file.h"
#include "hal/text/read_options.h"

namespace qama::hal {

struct ProblemFormat {
  std::string_view name;
  ProblemKind kind;  ///< of what parse() returns and print() takes
  /// What is minimised (maximised), over what; for people. "the sum of w x_i x_j over x in {0, 1}".
  std::string_view convention;
  /// Whether ReadOptions::symmetric means anything for it.
  bool takes_symmetric;
  /// Why a file is of this format, from its bytes and its name in small letters: "the name .qubo";
  /// empty if it is not. Formats are asked in the order of the table.
  std::string (*claim)(std::string_view bytes, std::string_view name);
  /// PROBLEM_BAD_FORMAT (with the line), PROBLEM_TOO_LARGE, PROBLEM_BAD_VALUE (a number that is not
  /// finite or not allowed).
  Result<ProblemFile> (*parse)(std::string_view bytes, std::string_view name,
                               const ReadOptions& options);
  /// Null: it is read only.
  std::string (*print)(const ProblemFile& file);
};

/// The table.
[[nodiscard]] std::span<const ProblemFormat* const> problem_formats() noexcept;
/// Their names.
[[nodiscard]] std::vector<std::string> problem_format_names();

/// Reads a problem, from a gzip file too. `name` is the file's, for its ending and for messages.
/// PROBLEM_BAD_FORMAT also where it is not clear what the file is: nothing is guessed that could
/// be two things. INVALID_ARGUMENT for an unknown format and for options that it does not know;
/// else as ProblemFormat::parse.
[[nodiscard]] Result<ProblemFile> parse_problem(std::string_view bytes, std::string_view name,
                                                const ReadOptions& options = {});
[[nodiscard]] inline Result<ProblemFile> parse_problem(std::string_view bytes,
                                                       std::string_view name,
                                                       std::string_view format) {
  return parse_problem(bytes, name, ReadOptions{format});
}

/// "qubo (from the name .qubo)".
[[nodiscard]] std::string describe_format(const ProblemFile& file);
/// What the answer's value is: "minimises the sum of w x_i x_j over x in {0, 1}; i j and j i add
/// up; variables from 1".
[[nodiscard]] std::string describe_convention(const ProblemFile& file);

/// The problem in the format of its kind's name.
[[nodiscard]] std::string to_text(const ProblemFile& file);

/// For claims: "the name .qubo" if the name ends in one of `endings`, else empty.
[[nodiscard]] std::string claim_by_name(std::string_view name,
                                        std::initializer_list<std::string_view> endings);

}  // namespace qama::hal
