// The kernels for AVX-512 F, BW, CD, DQ and VL. Compiled with that target's flags and nothing else.
#include "ops/simd/kernels_impl.h"

namespace qama::ops {

extern const KernelTable kKernels_avx512;
constexpr KernelTable kKernels_avx512 = Kernels<xsimd::avx512bw>::table("avx512");

}  // namespace qama::ops
