#include "hal/cpu/isa/neon_direct.h"

#include "hal/cpu/isa/annealers.h"

namespace qama::hal::cpu {
QAMA_ANNEALERS(neon, NeonSet)
}  // namespace qama::hal::cpu
