// The list of kernels, slowest first. A kernel that was not compiled for this architecture is not
// in it; one that this machine cannot run is, with `supported` saying no.
#include <array>

#include "hal/cpu/kernel.h"

namespace qama::hal::cpu {

void anneal_reference(const AnnealJob& job, std::span<Chain> chains);
#if defined(__x86_64__)
void anneal_sse2(const AnnealJob& job, std::span<Chain> chains);
void load_factors_sse2(const FactorsView& problem, FactorsLayout& layout);
void anneal_factors_sse2(const FactorsJob& job, FactorsChain& chain);
bool pack_planes_sse2(const DenseView& problem, CouplingPlanes& planes);
void anneal_planes_sse2(const AnnealJob& job, const CouplingPlanes& planes, std::span<Chain> chains,
                        std::uint64_t* counters);
void anneal_sparse_sse2(const AnnealJob& job, const SparseView& problem, SparseChains& chains);
void collect_sse2(HeadPool& pool, const DenseView& problem, std::span<const Chain> chains,
                  std::int32_t best);
std::int32_t search_sse2(HeadPool& pool, const DenseView& problem);
void assemble_sse2(const HeadPool& pool, const DenseView& problem, std::int32_t first,
                   std::span<Chain> chains);
void anneal_avx2(const AnnealJob& job, std::span<Chain> chains);
void load_factors_avx2(const FactorsView& problem, FactorsLayout& layout);
void anneal_factors_avx2(const FactorsJob& job, FactorsChain& chain);
bool pack_planes_avx2(const DenseView& problem, CouplingPlanes& planes);
void anneal_planes_avx2(const AnnealJob& job, const CouplingPlanes& planes, std::span<Chain> chains,
                        std::uint64_t* counters);
void anneal_sparse_avx2(const AnnealJob& job, const SparseView& problem, SparseChains& chains);
void collect_avx2(HeadPool& pool, const DenseView& problem, std::span<const Chain> chains,
                  std::int32_t best);
std::int32_t search_avx2(HeadPool& pool, const DenseView& problem);
void assemble_avx2(const HeadPool& pool, const DenseView& problem, std::int32_t first,
                   std::span<Chain> chains);
void anneal_avx512(const AnnealJob& job, std::span<Chain> chains);
void load_factors_avx512(const FactorsView& problem, FactorsLayout& layout);
void anneal_factors_avx512(const FactorsJob& job, FactorsChain& chain);
bool pack_planes_avx512(const DenseView& problem, CouplingPlanes& planes);
void anneal_planes_avx512(const AnnealJob& job, const CouplingPlanes& planes,
                          std::span<Chain> chains, std::uint64_t* counters);
void anneal_sparse_avx512(const AnnealJob& job, const SparseView& problem, SparseChains& chains);
void collect_avx512(HeadPool& pool, const DenseView& problem, std::span<const Chain> chains,
                    std::int32_t best);
std::int32_t search_avx512(HeadPool& pool, const DenseView& problem);
void assemble_avx512(const HeadPool& pool, const DenseView& problem, std::int32_t first,
                     std::span<Chain> chains);
#elif defined(__aarch64__)
void anneal_neon(const AnnealJob& job, std::span<Chain> chains);
void load_factors_neon(const FactorsView& problem, FactorsLayout& layout);
void anneal_factors_neon(const FactorsJob& job, FactorsChain& chain);
bool pack_planes_neon(const DenseView& problem, CouplingPlanes& planes);
void anneal_planes_neon(const AnnealJob& job, const CouplingPlanes& planes, std::span<Chain> chains,
                        std::uint64_t* counters);
void anneal_sparse_neon(const AnnealJob& job, const SparseView& problem, SparseChains& chains);
void collect_neon(HeadPool& pool, const DenseView& problem, std::span<const Chain> chains,
                  std::int32_t best);
std::int32_t search_neon(HeadPool& pool, const DenseView& problem);
void assemble_neon(const HeadPool& pool, const DenseView& problem, std::int32_t first,
                   std::span<Chain> chains);
#endif

namespace {

bool always() noexcept {
  return true;
}
#if defined(__x86_64__)
bool has_avx2() noexcept {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0 &&
         __builtin_cpu_supports("bmi2") != 0;
}
bool has_avx512() noexcept {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512cd") != 0;
}
#endif

constexpr std::array kKernels = {
    Kernel{"scalar", anneal_reference, load_factors_reference, anneal_factors_reference, nullptr,
           nullptr, anneal_sparse_reference, collect_reference, search_reference,
           assemble_reference, always, "nothing: the plain reference"},
#if defined(__x86_64__)
    Kernel{"sse2", anneal_sse2, load_factors_sse2, anneal_factors_sse2, pack_planes_sse2,
           anneal_planes_sse2, anneal_sparse_sse2, collect_sse2, search_sse2, assemble_sse2, always,
           "SSE2"},
    Kernel{"avx2", anneal_avx2, load_factors_avx2, anneal_factors_avx2, pack_planes_avx2,
           anneal_planes_avx2, anneal_sparse_avx2, collect_avx2, search_avx2, assemble_avx2,
           has_avx2, "AVX2"},
    Kernel{"avx512", anneal_avx512, load_factors_avx512, anneal_factors_avx512, pack_planes_avx512,
           anneal_planes_avx512, anneal_sparse_avx512, collect_avx512, search_avx512,
           assemble_avx512, has_avx512, "AVX-512 F, BW, CD, DQ and VL"},
#elif defined(__aarch64__)
    Kernel{"neon", anneal_neon, load_factors_neon, anneal_factors_neon, pack_planes_neon,
           anneal_planes_neon, anneal_sparse_neon, collect_neon, search_neon, assemble_neon, always,
           "Advanced SIMD (every ARMv8-A core)"},
#endif
};

}  // namespace

std::span<const Kernel> kernels() noexcept {
  return kKernels;
}

const Kernel& best_kernel() noexcept {
  const Kernel* best = &kKernels.front();
  for (const Kernel& kernel : kKernels) {
    if (kernel.supported()) best = &kernel;
  }
  return *best;
}

}  // namespace qama::hal::cpu
