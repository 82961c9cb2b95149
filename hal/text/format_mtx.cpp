// mtx, mtx-maxcut: MatrixMarket files, "%%MatrixMarket matrix coordinate|array
// real|integer|pattern general|symmetric", of a square matrix A; numbers from 1, of a pattern
// all 1.
//
//   mtx         minimise x^T A x: a symmetric file's entries off the diagonal count twice
//   mtx-maxcut  A_ij is the weight of the edge between i and j; in a general file A_ij and A_ji
//   must
//               be the same edge, given once or twice
#include <algorithm>
#include <cctype>

#include "hal/base/quote.h"
#include "hal/text/formats.h"
#include "hal/text/pairs.h"

namespace qama::hal {
namespace {

constexpr std::string_view kBanner = "%%matrixmarket";

std::string small(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

struct Banner {
  bool coordinate = false, pattern = false, symmetric = false;
};

Result<Banner> read_banner(std::string_view bytes, std::string_view name) {
  // Behind "%%MatrixMarket": four words.
  const std::string text = small(bytes.substr(0, std::min(bytes.find('\n'), std::size_t{200})));
  Lines lines(text.starts_with(kBanner) ? std::string_view(text).substr(kBanner.size())
                                        : std::string_view(),
              name);
  lines.next();
  const std::string_view object = lines.word(0), form = lines.word(1), field = lines.word(2),
                         symmetry = lines.word(3);
  if (object != "matrix" || (form != "coordinate" && form != "array") ||
      (field != "real" && field != "integer" && field != "pattern" && field != "double") ||
      (symmetry != "general" && symmetry != "symmetric") ||
      (form == "array" && field == "pattern")) {
    return Error{ErrorCode::problem_bad_format,
                 "problem " + quote(name) +
                     ", line 1: expected '%%MatrixMarket matrix coordinate "
                     "or array, real, integer or pattern, general or symmetric'"};
  }
  return Banner{form == "coordinate", field == "pattern", symmetry == "symmetric"};
}

Status read_coordinates(Lines& lines, const Banner& banner, std::int64_t size, std::int64_t count,
                        Pairs& pairs) {
  std::int64_t seen = 0;
  for (; lines.next(); ++seen) {
    if (seen == count) {
      return lines.error(ErrorCode::problem_bad_format,
                         "a line follows the last of " + std::to_string(count) + " entries");
    }
    if (banner.pattern) QAMA_RETURN_IF_ERROR(lines.at_most(2));
    QAMA_RETURN_IF_ERROR(pairs.add_line(lines, 0, size, banner.pattern));
  }
  if (seen == count) return {};
  return lines.error(ErrorCode::problem_bad_format, "the file ends after " + std::to_string(seen) +
                                                        " entries, expected " +
                                                        std::to_string(count));
}

/// Column by column; of a symmetric matrix from the diagonal down. One number a line, or several.
Status read_array(Lines& lines, const Banner& banner, std::int64_t size, ProblemKind kind,
                  Pairs& pairs) {
  std::int64_t i = 0;
  std::int64_t j = 0;
  while (lines.next()) {
    for (std::size_t k = 0; k < lines.size(); ++k) {
      QAMA_ASSIGN_OR_RETURN(const double value, lines.number(k, "an entry"));
      if (j == size) {
        return lines.error(ErrorCode::problem_bad_format,
                           quote(lines.word(k)) + " follows the last entry");
      }
      if (value != 0 && i == j && kind == ProblemKind::maxcut) {
        return lines.error(ErrorCode::problem_bad_format,
                           "an edge from vertex " + std::to_string(i + 1) + " to itself");
      }
      if (value != 0) pairs.add(i, j, value);
      if (++i == size) {
        ++j;
        i = banner.symmetric ? j : 0;
      }
    }
  }
  if (j == size) return {};
  return lines.error(
      ErrorCode::problem_bad_format,
      "entry " + std::to_string(i + 1) + " of column " + std::to_string(j + 1) + " is missing");
}

Result<ProblemFile> parse_kind(std::string_view bytes, std::string_view name, ProblemKind kind,
                               const ReadOptions& options) {
  QAMA_ASSIGN_OR_RETURN(const Banner banner, read_banner(bytes, name));
  Lines lines(bytes, name);
  if (!lines.next()) {
    return lines.error(ErrorCode::problem_bad_format, "the number of rows is missing");
  }
  const std::int64_t most = banner.coordinate ? kMaxTokens : kMaxDenseTokens;
  QAMA_ASSIGN_OR_RETURN(const std::int64_t size, lines.integer(0, "the number of rows", 1, most));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t columns,
                        lines.integer(1, "the number of columns", 1, most));
  if (size != columns) {
    return lines.error(ErrorCode::problem_bad_format, std::to_string(size) + " rows and " +
                                                          std::to_string(columns) +
                                                          " columns, expected a square matrix");
  }
  Pairs pairs(kind, 1);
  if (banner.coordinate) {
    QAMA_ASSIGN_OR_RETURN(const std::int64_t count,
                          lines.integer(2, "the number of entries", 0, INT32_MAX));
    QAMA_RETURN_IF_ERROR(lines.at_most(3));
    QAMA_RETURN_IF_ERROR(read_coordinates(lines, banner, size, count, pairs));
  } else {
    QAMA_RETURN_IF_ERROR(lines.at_most(2));
    QAMA_RETURN_IF_ERROR(read_array(lines, banner, size, kind, pairs));
  }
  // A symmetric file gives one of two entries; a graph's edge is one thing in any file.
  ReadOptions read = options;
  read.symmetric = banner.symmetric || kind == ProblemKind::maxcut;
  return pairs.finish(size, name, read);
}

Result<ProblemFile> parse_qubo(std::string_view bytes, std::string_view name,
                               const ReadOptions& options) {
  return parse_kind(bytes, name, ProblemKind::qubo, options);
}

Result<ProblemFile> parse_maxcut(std::string_view bytes, std::string_view name,
                                 const ReadOptions& options) {
  return parse_kind(bytes, name, ProblemKind::maxcut, options);
}

/// A matrix with a diagonal or a negative entry is a quadratic form: a graph without negative
/// weights would have its minimum at x = 0.
enum class Look { neither, form, graph, unclear };
Look look_at(std::string_view bytes) {
  if (!small(bytes.substr(0, kBanner.size())).starts_with(kBanner)) return Look::neither;
  const auto file = parse_qubo(bytes, "", {});
  if (!file.ok()) return Look::form;  // whoever reads it says why
  std::int64_t linear = 0;
  bool negative = false;
  for (const Edge& edge : file->graph.edges) {
    linear += edge.first == edge.second ? 1 : 0;
    negative = negative || edge.weight < 0;
  }
  if (negative && 2 * linear >= file->graph.size) return Look::form;
  if (!negative && linear == 0) return Look::graph;
  return Look::unclear;
}

std::string claim_qubo(std::string_view bytes, std::string_view /*name*/) {
  return look_at(bytes) == Look::form ? "the banner MatrixMarket and a diagonal" : "";
}

std::string claim_maxcut(std::string_view bytes, std::string_view /*name*/) {
  return look_at(bytes) == Look::graph
             ? "the banner MatrixMarket, no diagonal and weights that are all positive"
             : "";
}

}  // namespace

extern const ProblemFormat kMtxFormat{
    "mtx", ProblemKind::qubo, "x^T A x over x in {0, 1}", false, claim_qubo, parse_qubo, nullptr};
extern const ProblemFormat kMtxMaxcutFormat{
    "mtx-maxcut",
    ProblemKind::maxcut,
    "the weight A_ij of the edges between s = 0 and s = 1, each edge once",
    false,
    claim_maxcut,
    parse_maxcut,
    nullptr};

}  // namespace qama::hal
