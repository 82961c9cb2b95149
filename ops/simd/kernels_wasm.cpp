// The kernels for vectors of WebAssembly. Compiled with that target's flags and nothing else.
#include "ops/simd/wasm_direct.h"

#include "ops/simd/factors_front_impl.h"
#include "ops/simd/kernels_impl.h"

namespace qama::ops {

extern const KernelTable kKernels_wasm;
constexpr KernelTable kKernels_wasm = Kernels<xsimd::wasm>::table(
    "wasm", FactorsFront<xsimd::wasm>::run, FactorsFront<xsimd::wasm>::energies);

}  // namespace qama::ops
