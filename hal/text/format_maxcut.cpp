// maxcut: "n m", then m times "i j w"; vertices from 1. Maximise the weight between s = 0 and s
// = 1. Rudy files and the G-set are of this form.
#include <algorithm>

#include "hal/text/formats.h"
#include "hal/text/pairs.h"

namespace qama::hal {
namespace {

/// "g27", "g27.txt": the G-set.
bool is_of_the_g_set(std::string_view name) {
  name = name.substr(name.find_last_of('/') + 1);
  if (name.ends_with(".txt")) name.remove_suffix(4);
  return name.size() > 1 && name[0] == 'g' &&
         name.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

/// By its name, or because nothing else makes sense: without a linear term and without a negative
/// weight a quadratic form's minimum is x = 0.
std::string claim(std::string_view bytes, std::string_view name) {
  std::string reason = claim_by_name(name, {".mc", ".maxcut", ".rud", ".rudy"});
  if (!reason.empty()) return reason;
  if (is_of_the_g_set(name)) return "the name of the G-set";
  const PairSurvey survey = survey_pairs(bytes);
  if (!survey.well_formed || survey.loops > 0 || survey.negative > 0) return {};
  return "weights that are all positive";
}

Result<ProblemFile> parse(std::string_view bytes, std::string_view name,
                          const ReadOptions& options) {
  return parse_counted_pairs(bytes, name, ProblemKind::maxcut,
                             {"number of vertices", "number of edges"}, options);
}

}  // namespace

extern const ProblemFormat kMaxcutFormat{
    "maxcut", ProblemKind::maxcut, "the weight of the edges between s = 0 and s = 1", true, claim,
    parse,    print_counted_pairs};

}  // namespace qama::hal
