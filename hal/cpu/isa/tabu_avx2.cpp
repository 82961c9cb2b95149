#include "hal/cpu/tabu/tabu_impl.h"

namespace qama::hal::cpu {
QAMA_TABU(avx2, xsimd::avx2)
}  // namespace qama::hal::cpu
