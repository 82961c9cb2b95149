#include "hal/base/vectors.h"

#include "hal/cpu/tabu/tabu_impl.h"

namespace qama::hal::cpu {
QAMA_TABU(wasm, xsimd::wasm)
}  // namespace qama::hal::cpu
