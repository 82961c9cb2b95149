// csv, csv-qubo: a square matrix M, a row a line, with commas, semicolons or tabs between numbers.
//
//   csv       the Ising matrix that the vendor of the Ising machine takes: minimise - s^T M s over
//   s
//             in {-1, +1}. Each pair stands twice in it; a diagonal only adds to every value.
//   csv-qubo  minimise x^T M x over x in {0, 1}
#include <algorithm>

#include "hal/base/quote.h"
#include "hal/text/formats.h"
#include "hal/text/pairs.h"

namespace qama::hal {
namespace {

char separator_of(std::string_view bytes) {
  Lines lines(bytes, "", '\n');
  if (!lines.next()) return ' ';
  const std::size_t begin = bytes.find(lines.word(0));
  const std::string_view line = bytes.substr(begin, bytes.find('\n', begin) - begin);
  for (const char separator : {',', ';'}) {
    if (line.find(separator) != std::string_view::npos) return separator;
  }
  return ' ';
}

Result<ProblemFile> parse_kind(std::string_view bytes, std::string_view name, ProblemKind kind,
                               const ReadOptions& options) {
  Lines lines(bytes, name, separator_of(bytes));
  Pairs pairs(kind, 1);
  std::int64_t rows = 0;
  std::size_t width = 0;
  const bool ising = kind == ProblemKind::ising;
  for (; lines.next(); ++rows) {
    if (rows == 0) {
      width = lines.size();
      if (width > static_cast<std::size_t>(kMaxDenseTokens)) {
        return lines.error(ErrorCode::problem_too_large,
                           std::to_string(width) + " numbers in a row, expected at most " +
                               std::to_string(kMaxDenseTokens));
      }
    }
    if (lines.size() != width || rows == static_cast<std::int64_t>(width)) {
      return lines.error(
          ErrorCode::problem_bad_format,
          lines.size() != width
              ? std::to_string(lines.size()) + " numbers, expected " + std::to_string(width) +
                    " as in the first row"
              : "a row more than the " + std::to_string(width) + " of a square matrix");
    }
    for (std::size_t k = 0; k < width; ++k) {
      QAMA_ASSIGN_OR_RETURN(const double value, lines.number(k, "number " + std::to_string(k + 1)));
      if (value == 0) continue;
      const auto column = static_cast<std::int64_t>(k);
      if (ising && column == rows) {
        pairs.add_offset(-value);
      } else {
        pairs.add(rows, column, ising ? -value : value);
      }
    }
  }
  if (rows == 0 || rows != static_cast<std::int64_t>(width)) {
    return lines.error(ErrorCode::problem_bad_format,
                       "the matrix has " + std::to_string(rows) + " rows and " +
                           std::to_string(width) + " columns, expected as many rows as columns");
  }
  return pairs.finish(rows, name, options);
}

Result<ProblemFile> parse_ising(std::string_view bytes, std::string_view name,
                                const ReadOptions& options) {
  return parse_kind(bytes, name, ProblemKind::ising, options);
}

Result<ProblemFile> parse_qubo(std::string_view bytes, std::string_view name,
                               const ReadOptions& options) {
  return parse_kind(bytes, name, ProblemKind::qubo, options);
}

/// A diagonal means nothing in an Ising matrix, and a quadratic form has one for most variables.
enum class Look { neither, ising, form, unclear };
Look look_at(std::string_view bytes, std::string_view name) {
  if (claim_by_name(name, {".csv"}).empty()) return Look::neither;
  const auto file = parse_qubo(bytes, "", {});
  if (!file.ok()) return Look::ising;  // whoever reads it says why
  const auto linear = std::count_if(file->graph.edges.begin(), file->graph.edges.end(),
                                    [](const Edge& edge) { return edge.first == edge.second; });
  if (linear == 0) return Look::ising;
  return 2 * linear >= file->graph.size ? Look::form : Look::unclear;
}

std::string claim_ising(std::string_view bytes, std::string_view name) {
  return look_at(bytes, name) == Look::ising ? "the name .csv and a diagonal of 0" : "";
}

std::string claim_qubo(std::string_view bytes, std::string_view name) {
  return look_at(bytes, name) == Look::form ? "the name .csv and a diagonal" : "";
}

}  // namespace

extern const ProblemFormat kCsvFormat{
    "csv",  ProblemKind::ising, "- s^T M s over s in {-1, +1}, written as 0 and 1",
    false,  claim_ising,        parse_ising,
    nullptr};
extern const ProblemFormat kCsvQuboFormat{"csv-qubo", ProblemKind::qubo, "x^T M x over x in {0, 1}",
                                          false,      claim_qubo,        parse_qubo,
                                          nullptr};

}  // namespace qama::hal
