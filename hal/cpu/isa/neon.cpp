// The fast kernels for one target; compiled with that target's flags only (hal/CMakeLists.txt).
// Include nothing here that other files share as inline code.
#include "hal/cpu/isa/neon_direct.h"

#include "hal/cpu/dense/dense_impl.h"
#include "hal/cpu/factors/factors_impl.h"
#include "hal/cpu/planes/planes_impl.h"
#include "hal/cpu/sparse/sparse_impl.h"

namespace qama::hal::cpu {

void anneal_neon(const AnnealJob& job, std::span<Chain> chains) {
  anneal_fast<xsimd::neon64>(job, chains);
}

void load_factors_neon(const FactorsView& problem, FactorsLayout& layout) {
  load_factors<xsimd::neon64>(problem, layout);
}

void anneal_factors_neon(const FactorsJob& job, FactorsChain& chain) {
  anneal_factors<xsimd::neon64>(job, chain);
}

bool pack_planes_neon(const DenseView& problem, CouplingPlanes& planes) {
  return pack_planes<xsimd::neon64>(problem, planes);
}

void anneal_planes_neon(const AnnealJob& job, const CouplingPlanes& planes, std::span<Chain> chains,
                        std::uint64_t* counters) {
  anneal_planes<xsimd::neon64>(job, planes, chains, counters);
}

void anneal_sparse_neon(const AnnealJob& job, const SparseView& problem, SparseChains& chains) {
  anneal_sparse<xsimd::neon64>(job, problem, chains);
}

}  // namespace qama::hal::cpu
