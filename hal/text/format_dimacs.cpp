// dimacs: comments "c", a line "p edge N M" (or "p col"), then M lines "e i j" or "e i j w" with
// the weight 1 where there is none; vertices from 1. Read as a max-cut. Some of these files list
// each edge in both directions: the option symmetric counts such an edge once.
#include "hal/text/formats.h"
#include "hal/text/pairs.h"

namespace qama::hal {
namespace {

bool is_header(const Lines& lines) {
  return lines.word(0) == "p" &&
         (lines.word(1) == "edge" || lines.word(1) == "col" || lines.word(1) == "edges");
}

std::string claim(std::string_view bytes, std::string_view name) {
  Lines lines(bytes, name);
  return lines.next() && is_header(lines) ? "the line 'p " + std::string(lines.word(1)) + "'" : "";
}

Result<ProblemFile> parse(std::string_view bytes, std::string_view name,
                          const ReadOptions& options) {
  Lines lines(bytes, name);
  if (!lines.next() || !is_header(lines)) {
    return lines.error(ErrorCode::problem_bad_format, "expected 'p edge N M'");
  }
  QAMA_ASSIGN_OR_RETURN(const std::int64_t size,
                        lines.integer(2, "number of vertices", 1, kMaxTokens));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t count,
                        lines.integer(3, "number of edges", 0, INT32_MAX));
  QAMA_RETURN_IF_ERROR(lines.at_most(4));
  Pairs pairs(ProblemKind::maxcut, 1);
  while (lines.next()) {
    if (lines.word(0) != "e" && lines.word(0) != "a") {
      return lines.error(ErrorCode::problem_bad_format, "expected an edge 'e i j' or 'e i j w'");
    }
    QAMA_RETURN_IF_ERROR(pairs.add_line(lines, 1, size, true));
  }
  // Where each edge is listed twice, the header counts either the edges or the lines.
  const auto seen = static_cast<std::int64_t>(pairs.count());
  if (seen != count && seen != 2 * count) {
    return lines.error(
        ErrorCode::problem_bad_format,
        "the file has " + std::to_string(seen) + " edges, expected " + std::to_string(count));
  }
  if (seen == 2 * count && count > 0 && !options.symmetric) {
    return lines.error(ErrorCode::problem_bad_format,
                       "the file has " + std::to_string(seen) +
                           " edges, twice as many as expected: "
                           "if each is listed in both directions, read it as symmetric");
  }
  return pairs.finish(size, name, options);
}

}  // namespace

extern const ProblemFormat kDimacsFormat{"dimacs",
                                         ProblemKind::maxcut,
                                         "the weight of the edges between s = 0 and s = 1",
                                         true,
                                         claim,
                                         parse,
                                         nullptr};

}  // namespace qama::hal
