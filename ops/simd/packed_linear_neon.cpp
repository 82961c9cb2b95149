// The kernel of linear layers for neon. Compiled with that target's flags and nothing else.
#include "ops/simd/neon_direct.h"

#include "ops/simd/packed_linear_impl.h"

namespace qama::ops {

extern const PackedLinearKernel kPackedLinear_neon;
// 32 registers of four floats on 64-bit ARM, 16 on 32-bit.
constexpr int kMostRows = sizeof(void*) == 8 ? 8 : 4;
constexpr PackedLinearKernel kPackedLinear_neon =
    PackedLinear<NeonSet, kMostRows>::kernel("packed:neon");

}  // namespace qama::ops
