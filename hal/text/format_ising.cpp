// ising: "n m", then m times "i j J" or "i i h"; spins from 1. Minimise
// sum h_i s_i + sum J_ij s_i s_j over s in {-1, +1}. In the answer 1 is +1 and 0 is -1.
#include "hal/text/formats.h"
#include "hal/text/pairs.h"

namespace qama::hal {
namespace {

/// By its name only: its lines are those of a quadratic form.
std::string claim(std::string_view /*bytes*/, std::string_view name) {
  return claim_by_name(name, {".ising", ".spin"});
}

Result<ProblemFile> parse(std::string_view bytes, std::string_view name,
                          const ReadOptions& options) {
  return parse_counted_pairs(bytes, name, ProblemKind::ising,
                             {"number of spins", "number of terms"}, options);
}

}  // namespace

extern const ProblemFormat kIsingFormat{
    "ising",
    ProblemKind::ising,
    "the sum of h_i s_i and of J_ij s_i s_j over s in {-1, +1}, written as 0 and 1",
    true,
    claim,
    parse,
    print_counted_pairs};

}  // namespace qama::hal
