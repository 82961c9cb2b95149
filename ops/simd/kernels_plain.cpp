// The kernels for machines without vectors. Compiled with that target's flags and nothing else.
#include "ops/simd/factors_front_impl.h"
#include "ops/simd/kernels_impl.h"

namespace qama::ops {

extern const KernelTable kKernels_plain;
constexpr KernelTable kKernels_plain = Kernels<PlainSet>::table(
    "plain", FactorsFront<PlainSet>::run, FactorsFront<PlainSet>::energies);

}  // namespace qama::ops
