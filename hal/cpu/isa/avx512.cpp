#include "hal/cpu/isa/annealers.h"

namespace qama::hal::cpu {
QAMA_ANNEALERS(avx512, xsimd::avx512bw)
}  // namespace qama::hal::cpu
