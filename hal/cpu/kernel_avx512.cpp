// The fast kernel for one target; compiled with that target's flags only (hal/CMakeLists.txt). Include
// nothing here that other files share as inline code.
#include "hal/cpu/kernel_impl.h"

namespace qama::hal::cpu {

void anneal_avx512(const AnnealJob& job, std::span<Chain> chains) {
  anneal_fast<xsimd::avx512bw>(job, chains);
}

}  // namespace qama::hal::cpu
