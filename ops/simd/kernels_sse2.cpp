// The kernels for SSE2, which every x86-64 has. Compiled with that target's flags and nothing else.
#include "ops/simd/factors_front_impl.h"
#include "ops/simd/kernels_impl.h"

namespace qama::ops {

extern const KernelTable kKernels_sse2;
constexpr KernelTable kKernels_sse2 = Kernels<xsimd::sse2>::table(
    "sse2", FactorsFront<xsimd::sse2>::run, FactorsFront<xsimd::sse2>::energies);

}  // namespace qama::ops
