// The fast kernels for one target; compiled with that target's flags only (hal/CMakeLists.txt). Include
// nothing here that other files share as inline code.
#include "hal/cpu/kernel_impl.h"
#include "hal/cpu/low_rank_impl.h"

namespace qama::hal::cpu {

void anneal_neon(const AnnealJob& job, std::span<Chain> chains) {
  anneal_fast<xsimd::neon64>(job, chains);
}

void load_low_rank_neon(const LowRankProblem& problem, LowRankLayout& layout) {
  load_low_rank<xsimd::neon64>(problem, layout);
}

void anneal_low_rank_neon(const LowRankJob& job, LowRankChain& chain) {
  anneal_low_rank<xsimd::neon64>(job, chain);
}

}  // namespace qama::hal::cpu
