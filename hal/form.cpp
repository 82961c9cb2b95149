#include "hal/form.h"

#include <algorithm>

namespace qama::hal {
namespace {

bool sparse_wins(const FormQuestion& q) noexcept {
  if (q.edges < 0 || q.schedule.rounds > 0) return false;
  const std::int64_t spins = q.shape.tokens;
  if (spins > kMaxDenseTokens) return true;
  if (q.restarts < kSparseRestarts && spins < kSparseAlwaysSpins) return false;
  const bool few_values = q.values > 0 && q.values <= kPlaneValues;
  const std::int64_t most =
      few_values ? kSparseNeighbours : std::max(kSparseNeighbours, spins / kSparseSpinsANeighbour);
  return 2 * q.edges <= most * spins;
}

}  // namespace

Form choose_form(const FormQuestion& q) noexcept {
  if (q.rank > 0 && q.rank <= kMaxRankLimit && q.forms.has(Form::factors) &&
      q.shape.tokens >= first_factors_tokens(q.shape.heads, q.rank, q.schedule.rounds)) {
    return Form::factors;
  }
  if (q.forms.has(Form::sparse) && sparse_wins(q)) return Form::sparse;
  if (q.values > 0 && q.values <= kPlaneValues && q.forms.has(Form::planes) &&
      planes_possible(q.shape, q.schedule)) {
    return Form::planes;
  }
  return Form::dense;
}

}  // namespace qama::hal
