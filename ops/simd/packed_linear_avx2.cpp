// The kernel of linear layers for avx2. Compiled with that target's flags and nothing else.
#include "ops/simd/packed_linear_impl.h"

namespace qama::ops {

extern const PackedLinearKernel kPackedLinear_avx2;
constexpr PackedLinearKernel kPackedLinear_avx2 =
    PackedLinear<xsimd::fma3<xsimd::avx2>, 6>::kernel("packed:avx2");

}  // namespace qama::ops
