#include "ops/simd/half_linear.h"

#include <array>

#include "ops/linear.h"
#include "ops/simd/usable.h"

namespace qama::ops {

#define QAMA_HALF_TARGET(target, half, runs) extern const Int8LinearKernel kHalfLinear_##target;
#include "ops/simd/half_targets.inc"
#undef QAMA_HALF_TARGET

std::span<const Int8LinearKernel* const> half_linear_kernels(Half kind) noexcept {
  static const std::array<Usable<Int8LinearKernel>, 2> found = [] {
    std::array<Usable<Int8LinearKernel>, 2> out;
#define QAMA_HALF_TARGET(target, half, runs) \
  out[static_cast<std::size_t>(Half::half)].add(kHalfLinear_##target, runs);
#include "ops/simd/half_targets.inc"
#undef QAMA_HALF_TARGET
    return out;
  }();
  return found[static_cast<std::size_t>(kind)].tables();
}

}  // namespace qama::ops
