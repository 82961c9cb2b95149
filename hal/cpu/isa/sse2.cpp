// The fast kernels for one target; compiled with that target's flags only (hal/CMakeLists.txt).
// Include nothing here that other files share as inline code.
#include "hal/cpu/dense/dense_impl.h"
#include "hal/cpu/factors/factors_impl.h"
#include "hal/cpu/planes/planes_impl.h"
#include "hal/cpu/sparse/sparse_impl.h"

namespace qama::hal::cpu {

void anneal_sse2(const AnnealJob& job, std::span<Chain> chains) {
  anneal_fast<xsimd::sse2>(job, chains);
}

void load_factors_sse2(const FactorsView& problem, FactorsLayout& layout) {
  load_factors<xsimd::sse2>(problem, layout);
}

void anneal_factors_sse2(const FactorsJob& job, FactorsChain& chain) {
  anneal_factors<xsimd::sse2>(job, chain);
}

bool pack_planes_sse2(const DenseView& problem, CouplingPlanes& planes) {
  return pack_planes<xsimd::sse2>(problem, planes);
}

void anneal_planes_sse2(const AnnealJob& job, const CouplingPlanes& planes, std::span<Chain> chains,
                        std::uint64_t* counters) {
  anneal_planes<xsimd::sse2>(job, planes, chains, counters);
}

void anneal_sparse_sse2(const AnnealJob& job, const SparseView& problem, SparseChains& chains) {
  anneal_sparse<xsimd::sse2>(job, problem, chains);
}

}  // namespace qama::hal::cpu
