#include "hal/cpu/isa/recombiner.h"

namespace qama::hal::cpu {
QAMA_RECOMBINER(avx2, xsimd::avx2)
}  // namespace qama::hal::cpu
