// qubo: "n m", then m times "i j w"; variables from 1, i = j is a linear term. Minimise
// sum w x_i x_j.
#include "hal/text/edge_lines.h"
#include "hal/text/formats.h"

namespace qama::hal {
namespace {

/// By its name, else by a linear term among its lines.
bool sniff(std::string_view bytes, std::string_view name) noexcept {
  if (name.ends_with(".qubo") || name.ends_with(".bqp")) return true;
  if (name.ends_with(".mc")) return false;
  Scanner scan(bytes, name);
  scan.word();
  scan.word();
  while (true) {
    const std::string_view i = scan.word();
    const std::string_view j = scan.word();
    if (scan.word().empty()) return false;
    if (i == j) return true;
  }
}

Result<ProblemFile> parse(std::string_view bytes, std::string_view name) {
  Scanner scan(bytes, name);
  ProblemFile out;
  out.kind = ProblemKind::qubo;
  const auto check = [](const Scanner&, std::int64_t, std::int64_t, double) { return Status(); };
  QAMA_ASSIGN_OR_RETURN(out.graph,
                        parse_edge_lines(scan, {"number of variables", "number of terms", check}));
  return out;
}

std::string print(const ProblemFile& file) {
  return print_edge_lines(file.graph, 9);
}

}  // namespace

extern const ProblemFormat kQuboFormat{"qubo", ProblemKind::qubo, sniff, parse, print};

}  // namespace qama::hal
