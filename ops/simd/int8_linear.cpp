#include "ops/simd/int8_linear.h"

#include "ops/simd/usable.h"

namespace qama::ops {

#define QAMA_INT8_TARGET(target, runs) extern const Int8LinearKernel kInt8Linear_##target;
#include "ops/simd/int8_targets.inc"
#undef QAMA_INT8_TARGET

std::span<const Int8LinearKernel* const> int8_linear_kernels() noexcept {
  static const Usable<Int8LinearKernel> found = [] {
    Usable<Int8LinearKernel> out;
#define QAMA_INT8_TARGET(target, runs) out.add(kInt8Linear_##target, runs);
#include "ops/simd/int8_targets.inc"
#undef QAMA_INT8_TARGET
    return out;
  }();
  return found.tables();
}

}  // namespace qama::ops
