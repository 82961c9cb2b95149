// maxcut: "n m", then m times "i j w"; vertices from 1, whole weights. Maximise the weight between
// s = 0 and s = 1.
#include <cmath>

#include "hal/text/edge_lines.h"
#include "hal/text/formats.h"

namespace qama::hal {
namespace {

Status check(const Scanner& scan, std::int64_t i, std::int64_t j, double weight) {
  if (i == j) {
    return scan.error(ErrorCode::problem_bad_format,
                      "an edge from vertex " + std::to_string(i) + " to itself");
  }
  if (weight != std::nearbyint(weight) || std::fabs(weight) > kMaxIntegerWeight) {
    return scan.error(ErrorCode::problem_bad_value,
                      "an edge's weight must be a whole number of at most 2^30");
  }
  return {};
}

/// The last of the table: takes what no other format claims.
bool sniff(std::string_view /*bytes*/, std::string_view /*name*/) noexcept {
  return true;
}

Result<ProblemFile> parse(std::string_view bytes, std::string_view name) {
  Scanner scan(bytes, name);
  ProblemFile out;
  out.kind = ProblemKind::maxcut;
  QAMA_ASSIGN_OR_RETURN(out.graph,
                        parse_edge_lines(scan, {"number of vertices", "number of edges", check}));
  return out;
}

std::string print(const ProblemFile& file) {
  return print_edge_lines(file.graph, 17);
}

}  // namespace

extern const ProblemFormat kMaxcutFormat{"maxcut", ProblemKind::maxcut, sniff, parse, print};

}  // namespace qama::hal
