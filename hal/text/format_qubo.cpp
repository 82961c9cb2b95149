// qubo: "n m", then m times "i j w"; variables from 1, i = j is a linear term. Minimise
// sum w x_i x_j. With the options symmetric and maximise: MQLib's files.
#include "hal/text/formats.h"
#include "hal/text/pairs.h"

namespace qama::hal {
namespace {

/// By its name, or by linear terms of at least half the variables, one of them negative: no graph
/// has so many edges from a vertex to itself. A single one may be dirt in a graph.
std::string claim(std::string_view bytes, std::string_view name) {
  std::string reason = claim_by_name(name, {".qubo", ".bqp"});
  if (!reason.empty()) return reason;
  if (!claim_by_name(name, {".mc", ".maxcut", ".rud", ".rudy"}).empty()) return {};
  const PairSurvey survey = survey_pairs(bytes);
  if (!survey.well_formed || survey.negative_loops == 0 || 2 * survey.loops < survey.variables)
    return {};
  return "linear terms of half the variables or more";
}

Result<ProblemFile> parse(std::string_view bytes, std::string_view name,
                          const ReadOptions& options) {
  return parse_counted_pairs(bytes, name, ProblemKind::qubo,
                             {"number of variables", "number of terms"}, options);
}

}  // namespace

extern const ProblemFormat kQuboFormat{"qubo",
                                       ProblemKind::qubo,
                                       "the sum of w x_i x_j over x in {0, 1}, i = j is linear",
                                       true,
                                       claim,
                                       parse,
                                       print_counted_pairs};

}  // namespace qama::hal
