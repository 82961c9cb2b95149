// The kernels for AVX-512 F, BW, CD, DQ and VL. Compiled with that target's flags and nothing else.
#include "ops/simd/kernels_impl.h"
#include "ops/simd/long_factors_impl.h"

namespace qama::ops {

extern const KernelTable kKernels_avx512;
constexpr KernelTable kKernels_avx512 = Kernels<xsimd::avx512bw>::table(
    "avx512", LongFactors<xsimd::avx512bw>::run, LongFactors<xsimd::avx512bw>::energies);

}  // namespace qama::ops
