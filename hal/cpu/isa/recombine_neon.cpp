#include "hal/cpu/isa/neon_direct.h"

#include "hal/cpu/isa/recombiner.h"

namespace qama::hal::cpu {
QAMA_RECOMBINER(neon, NeonSet)
}  // namespace qama::hal::cpu
