// The kernel of linear layers for neon. Compiled with that target's flags and nothing else.
#include "ops/simd/neon_direct.h"

#include "ops/simd/packed_linear_impl.h"

namespace qama::ops {

extern const PackedLinearKernel kPackedLinear_neon;
constexpr PackedLinearKernel kPackedLinear_neon =
    PackedLinear<xsimd::neon64, 8>::kernel("packed:neon");

}  // namespace qama::ops
