// Recombining for one target, compiled with its flags only, as kernel_neon.cpp is. A file of its own: beside the
// annealer's templates the compiler inlines less of these, which had cost them a fifth of their speed.
#include "hal/cpu/neon_direct.h"

#include "hal/cpu/recombine_impl.h"

namespace qama::hal::cpu {

void collect_neon(HeadPool& pool, const SelectionProblem& problem, std::span<const Chain> chains, std::int32_t best) {
  collect_fast<xsimd::neon64>(pool, problem, chains, best);
}

std::int32_t recombine_neon(HeadPool& pool, const SelectionProblem& problem, std::span<Chain> chains) {
  return recombine_fast<xsimd::neon64>(pool, problem, chains);
}

}  // namespace qama::hal::cpu
