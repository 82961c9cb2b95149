// qbsolv: comments "c", a line "p qubo TOPOLOGY MAX N M", then N lines "i i w" and M lines "i j w";
// variables from 0 to MAX - 1. Minimise sum w x_i x_j.
#include "hal/base/quote.h"
#include "hal/text/formats.h"
#include "hal/text/pairs.h"

namespace qama::hal {
namespace {

std::string claim(std::string_view bytes, std::string_view name) {
  Lines lines(bytes, name);
  return lines.next() && lines.word(0) == "p" && lines.word(1) == "qubo" ? "the line 'p qubo'" : "";
}

Result<ProblemFile> parse(std::string_view bytes, std::string_view name,
                          const ReadOptions& options) {
  Lines lines(bytes, name);
  if (!lines.next() || lines.word(0) != "p" || lines.word(1) != "qubo") {
    return lines.error(ErrorCode::problem_bad_format, "expected 'p qubo TOPOLOGY MAX N M'");
  }
  QAMA_ASSIGN_OR_RETURN(const std::int64_t size, lines.integer(3, "MAX", 1, kMaxTokens));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t linear,
                        lines.integer(4, "the number of linear terms", 0, INT32_MAX));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t quadratic,
                        lines.integer(5, "the number of couplings", 0, INT32_MAX));
  QAMA_RETURN_IF_ERROR(lines.at_most(6));
  Pairs pairs(ProblemKind::qubo, 0);
  std::int64_t seen[2] = {0, 0};
  while (lines.next()) {
    QAMA_ASSIGN_OR_RETURN(const bool offset, pairs.take_offset(lines));
    if (offset) continue;
    QAMA_RETURN_IF_ERROR(pairs.add_line(lines, 0, size));
    ++seen[lines.word(0) == lines.word(1) ? 0 : 1];
  }
  if (seen[0] != linear || seen[1] != quadratic) {
    return lines.error(ErrorCode::problem_bad_format,
                       "the file has " + std::to_string(seen[0]) + " linear terms and " +
                           std::to_string(seen[1]) + " couplings, expected " +
                           std::to_string(linear) + " and " + std::to_string(quadratic));
  }
  return pairs.finish(size, name, options);
}

}  // namespace

extern const ProblemFormat kQbsolvFormat{"qbsolv",
                                         ProblemKind::qubo,
                                         "the sum of w x_i x_j over x in {0, 1}, i = j is linear",
                                         true,
                                         claim,
                                         parse,
                                         nullptr};

}  // namespace qama::hal
