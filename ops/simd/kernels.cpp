#include "ops/simd/kernels.h"

#include "ops/simd/usable.h"

namespace qama::ops {

#define QAMA_SIMD_TARGET(target, runs) extern const KernelTable kKernels_##target;
#include "ops/simd/targets.inc"
#undef QAMA_SIMD_TARGET

std::span<const KernelTable* const> kernel_tables() noexcept {
  static const Usable<KernelTable> found = [] {
    Usable<KernelTable> out;
#define QAMA_SIMD_TARGET(target, runs) out.add(kKernels_##target, runs);
#include "ops/simd/targets.inc"
#undef QAMA_SIMD_TARGET
    return out;
  }();
  return found.tables();
}

const KernelTable& best_kernels() noexcept {
  return *kernel_tables().back();
}

}  // namespace qama::ops
