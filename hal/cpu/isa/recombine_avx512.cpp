#include "hal/cpu/isa/recombiner.h"

namespace qama::hal::cpu {
QAMA_RECOMBINER(avx512, xsimd::avx512bw)
}  // namespace qama::hal::cpu
