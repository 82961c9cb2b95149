// The kernel of linear layers for vectors of WebAssembly. Compiled with that target's flags and
// nothing else.
#include "ops/simd/packed_linear_impl.h"

namespace qama::ops {

// An engine gives a module the 16 registers of the smallest machine that it runs on.
extern const PackedLinearKernel kPackedLinear_wasm;
constexpr PackedLinearKernel kPackedLinear_wasm =
    PackedLinear<xsimd::wasm, 4>::kernel("packed:wasm");

}  // namespace qama::ops
