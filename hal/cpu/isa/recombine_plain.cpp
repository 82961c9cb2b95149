#include "hal/base/vectors.h"

#include "hal/cpu/isa/recombiner.h"

namespace qama::hal::cpu {
QAMA_RECOMBINER(plain, PlainSet)
}  // namespace qama::hal::cpu
