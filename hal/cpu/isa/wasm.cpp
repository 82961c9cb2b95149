#include "hal/cpu/isa/wasm_direct.h"

#include "hal/cpu/isa/annealers.h"

namespace qama::hal::cpu {
QAMA_ANNEALERS(wasm, xsimd::wasm)
}  // namespace qama::hal::cpu
