#include "hal/cpu/isa/recombiner.h"

namespace qama::hal::cpu {
QAMA_RECOMBINER(sse2, xsimd::sse2)
}  // namespace qama::hal::cpu
