// The kernel of linear layers for machines without vectors. Compiled with that target's flags and
// nothing else.
#include "ops/simd/packed_linear_impl.h"

namespace qama::ops {

// Two rows by eight outputs: more sums than that do not fit a machine's 32 registers for numbers.
extern const PackedLinearKernel kPackedLinear_plain;
constexpr PackedLinearKernel kPackedLinear_plain =
    PackedLinear<PlainSet, 2>::kernel("packed:plain");

}  // namespace qama::ops
