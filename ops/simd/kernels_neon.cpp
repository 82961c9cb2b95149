// The kernels for Advanced SIMD, which every ARMv8-A core has and most of ARMv7-A. Compiled with
// that target's flags and nothing else.
#include "ops/simd/neon_direct.h"

#include "ops/simd/factors_front_impl.h"
#include "ops/simd/kernels_impl.h"

namespace qama::ops {

extern const KernelTable kKernels_neon;
constexpr KernelTable kKernels_neon =
    Kernels<NeonSet>::table("neon", FactorsFront<NeonSet>::run, FactorsFront<NeonSet>::energies);

}  // namespace qama::ops
