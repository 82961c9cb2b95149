#include "hal/cpu/tabu/tabu_impl.h"

namespace qama::hal::cpu {
QAMA_TABU(sse2, xsimd::sse2)
}  // namespace qama::hal::cpu
