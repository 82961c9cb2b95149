// The kernels for AVX2 with FMA. Compiled with that target's flags and nothing else.
#include "ops/simd/factors_front_impl.h"
#include "ops/simd/kernels_impl.h"

namespace qama::ops {

extern const KernelTable kKernels_avx2;
constexpr KernelTable kKernels_avx2 =
    Kernels<xsimd::fma3<xsimd::avx2>>::table("avx2", FactorsFront<xsimd::fma3<xsimd::avx2>>::run,
                                             FactorsFront<xsimd::fma3<xsimd::avx2>>::energies);

}  // namespace qama::ops
