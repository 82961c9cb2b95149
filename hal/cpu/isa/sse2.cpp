#include "hal/cpu/isa/annealers.h"

namespace qama::hal::cpu {
QAMA_ANNEALERS(sse2, xsimd::sse2)
}  // namespace qama::hal::cpu
