#include "hal/base/vectors.h"

#include "hal/cpu/isa/annealers.h"

namespace qama::hal::cpu {
QAMA_ANNEALERS(plain, PlainSet)
}  // namespace qama::hal::cpu
