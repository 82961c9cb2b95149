#include "ops/simd/packed_linear.h"

#include "ops/simd/usable.h"

namespace qama::ops {

#define QAMA_SIMD_TARGET(target, runs) extern const PackedLinearKernel kPackedLinear_##target;
#include "ops/simd/targets.inc"
#undef QAMA_SIMD_TARGET

std::span<const PackedLinearKernel* const> packed_linear_kernels() noexcept {
  static const Usable<PackedLinearKernel> found = [] {
    Usable<PackedLinearKernel> out;
#define QAMA_SIMD_TARGET(target, runs) out.add(kPackedLinear_##target, runs);
#include "ops/simd/targets.inc"
#undef QAMA_SIMD_TARGET
    return out;
  }();
  return found.tables();
}

}  // namespace qama::ops
