#include "hal/cpu/isa/annealers.h"

namespace qama::hal::cpu {
QAMA_ANNEALERS(avx2, xsimd::avx2)
}  // namespace qama::hal::cpu
