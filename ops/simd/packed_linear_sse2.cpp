// The kernel of linear layers for sse2. Compiled with that target's flags and nothing else.
#include "ops/simd/packed_linear_impl.h"

namespace qama::ops {

extern const PackedLinearKernel kPackedLinear_sse2;
constexpr PackedLinearKernel kPackedLinear_sse2 =
    PackedLinear<xsimd::sse2, 6>::kernel("packed:sse2");

}  // namespace qama::ops
