#include "hal/cpu/isa/wasm_direct.h"

#include "hal/cpu/isa/recombiner.h"

namespace qama::hal::cpu {
QAMA_RECOMBINER(wasm, xsimd::wasm)
}  // namespace qama::hal::cpu
