// The kernel of linear layers for avx512. Compiled with that target's flags and nothing else.
#include "ops/simd/packed_linear_impl.h"

namespace qama::ops {

extern const PackedLinearKernel kPackedLinear_avx512;
constexpr PackedLinearKernel kPackedLinear_avx512 =
    PackedLinear<xsimd::avx512bw, 12>::kernel("packed:avx512");

}  // namespace qama::ops
