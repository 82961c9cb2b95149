// The fast kernels for one target; compiled with that target's flags only (hal/CMakeLists.txt).
// Include nothing here that other files share as inline code.
#include "hal/cpu/dense/dense_impl.h"
#include "hal/cpu/factors/factors_impl.h"
#include "hal/cpu/planes/planes_impl.h"
#include "hal/cpu/sparse/sparse_impl.h"

namespace qama::hal::cpu {

void anneal_avx2(const AnnealJob& job, std::span<Chain> chains) {
  anneal_fast<xsimd::avx2>(job, chains);
}

void load_factors_avx2(const FactorsView& problem, FactorsLayout& layout) {
  load_factors<xsimd::avx2>(problem, layout);
}

void anneal_factors_avx2(const FactorsJob& job, FactorsChain& chain) {
  anneal_factors<xsimd::avx2>(job, chain);
}

bool pack_planes_avx2(const DenseView& problem, CouplingPlanes& planes) {
  return pack_planes<xsimd::avx2>(problem, planes);
}

void anneal_planes_avx2(const AnnealJob& job, const CouplingPlanes& planes, std::span<Chain> chains,
                        std::uint64_t* counters) {
  anneal_planes<xsimd::avx2>(job, planes, chains, counters);
}

void anneal_sparse_avx2(const AnnealJob& job, const SparseView& problem, SparseChains& chains) {
  anneal_sparse<xsimd::avx2>(job, problem, chains);
}

}  // namespace qama::hal::cpu
