// The kernels for Advanced SIMD, which every ARMv8-A core has. Compiled with that target's flags
// and nothing else.
#include "ops/simd/neon_direct.h"

#include "ops/simd/factors_front_impl.h"
#include "ops/simd/kernels_impl.h"

namespace qama::ops {

extern const KernelTable kKernels_neon;
constexpr KernelTable kKernels_neon = Kernels<xsimd::neon64>::table(
    "neon", FactorsFront<xsimd::neon64>::run, FactorsFront<xsimd::neon64>::energies);

}  // namespace qama::ops
