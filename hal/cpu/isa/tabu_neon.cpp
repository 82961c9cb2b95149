#include "hal/cpu/tabu/tabu_impl.h"

namespace qama::hal::cpu {
QAMA_TABU(neon, xsimd::neon64)
}  // namespace qama::hal::cpu
