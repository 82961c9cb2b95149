#include "hal/cpu/tabu/tabu_impl.h"

namespace qama::hal::cpu {
QAMA_TABU(avx512, xsimd::avx512bw)
}  // namespace qama::hal::cpu
