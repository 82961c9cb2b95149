// The kernels for AVX-512 F, BW, CD, DQ and VL. Compiled with that target's flags and nothing else.
#include "ops/simd/factors_front_impl.h"
#include "ops/simd/kernels_impl.h"

namespace qama::ops {

extern const KernelTable kKernels_avx512;
constexpr KernelTable kKernels_avx512 = Kernels<xsimd::avx512bw>::table(
    "avx512", FactorsFront<xsimd::avx512bw>::run, FactorsFront<xsimd::avx512bw>::energies);

}  // namespace qama::ops
