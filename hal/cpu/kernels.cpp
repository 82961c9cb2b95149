// The list of kernels, slowest first. A kernel that was not compiled for this architecture is not
// in it; one that this machine cannot run is, with `supported` saying no. To add an instruction
// set: a line in QAMA_KERNELS, its files in isa/ (annealers.h, recombiner.h), its flags in
// hal/CMakeLists.txt.
#include <array>
#if defined(__arm__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "hal/cpu/kernel.h"
#include "hal/cpu/tabu/tabu.h"

// X(NAME, what the machine must have, the same for people)
#define HAS(FEATURE) (__builtin_cpu_supports(FEATURE) != 0)
// clang-format off
#if defined(__x86_64__)
#define QAMA_KERNELS(X)                                                                          \
  X(sse2, true, "SSE2")                                                                          \
  X(avx2, HAS("avx2") && HAS("bmi") && HAS("bmi2"), "AVX2")                                      \
  X(avx512, HAS("avx512f") && HAS("avx512bw") && HAS("avx512dq") && HAS("avx512vl") &&           \
            HAS("avx512cd"), "AVX-512 F, BW, CD, DQ and VL")
#elif defined(__aarch64__)
#define QAMA_KERNELS(X) X(neon, true, "Advanced SIMD (every ARMv8-A core)")
#elif defined(__arm__) && defined(__linux__)
#define QAMA_KERNELS(X)                                                                          \
  X(plain, true, "nothing: 128 bits in general registers")                                       \
  X(neon, (getauxval(AT_HWCAP) & HWCAP_NEON) != 0, "Advanced SIMD")
#elif defined(__wasm_simd128__)
#define QAMA_KERNELS(X) X(wasm, true, "128-bit vectors of WebAssembly")
#else
#define QAMA_KERNELS(X) X(plain, true, "nothing: 128 bits in general registers")
#endif
// clang-format on

namespace qama::hal::cpu {

void anneal_reference(const AnnealJob& job, std::span<Chain> chains);

#define DECLARE(NAME, SUPPORTED, NEEDS)                                                        \
  void anneal_##NAME(const AnnealJob& job, std::span<Chain> chains);                           \
  void load_factors_##NAME(const FactorsView& problem, FactorsLayout& layout);                 \
  void anneal_factors_##NAME(const FactorsJob& job, FactorsChain& chain);                      \
  bool pack_planes_##NAME(const DenseView& problem, CouplingPlanes& planes);                   \
  void anneal_planes_##NAME(const AnnealJob& job, const CouplingPlanes& planes,                \
                            std::span<Chain> chains, std::uint64_t* counters);                 \
  void anneal_sparse_##NAME(const AnnealJob& job, const SparseView& problem,                   \
                            SparseChains& chains);                                             \
  void collect_##NAME(HeadPool& pool, const DenseView& problem, std::span<const Chain> chains, \
                      std::int32_t best);                                                      \
  std::int32_t search_##NAME(HeadPool& pool, const DenseView& problem);                        \
  void assemble_##NAME(const HeadPool& pool, const DenseView& problem, std::int32_t first,     \
                       std::span<Chain> chains);                                               \
  std::int32_t pick_##NAME(const TabuMoves& moves);                                            \
  void add_row_##NAME(double* fields, const double* row, double change, std::int32_t count);   \
  namespace {                                                                                  \
  bool has_##NAME() noexcept {                                                                 \
    return SUPPORTED;                                                                          \
  }                                                                                            \
  }
QAMA_KERNELS(DECLARE)
#undef DECLARE

namespace {

bool always() noexcept {
  return true;
}

#define ENTRY(NAME, SUPPORTED, NEEDS) \
  Kernel{#NAME,                       \
         anneal_##NAME,               \
         load_factors_##NAME,         \
         anneal_factors_##NAME,       \
         pack_planes_##NAME,          \
         anneal_planes_##NAME,        \
         anneal_sparse_##NAME,        \
         collect_##NAME,              \
         search_##NAME,               \
         assemble_##NAME,             \
         has_##NAME,                  \
         NEEDS},
constexpr std::array kKernels = {
    Kernel{"scalar", anneal_reference, load_factors_reference, anneal_factors_reference, nullptr,
           nullptr, anneal_sparse_reference, collect_reference, search_reference,
           assemble_reference, always, "nothing: the plain reference"},
    QAMA_KERNELS(ENTRY)};
#undef ENTRY

#define ENTRY(NAME, SUPPORTED, NEEDS) TabuKernel{#NAME, pick_##NAME, add_row_##NAME, has_##NAME},
constexpr std::array kTabuKernels = {
    TabuKernel{"scalar", pick_reference, add_row_reference, always}, QAMA_KERNELS(ENTRY)};
#undef ENTRY

/// The last supported one of a list.
template <class List>
const auto& best_of(const List& list) noexcept {
  const auto* best = &list.front();
  for (const auto& kernel : list) {
    if (kernel.supported()) best = &kernel;
  }
  return *best;
}

}  // namespace

std::span<const Kernel> kernels() noexcept {
  return kKernels;
}

const Kernel& best_kernel() noexcept {
  return best_of(kKernels);
}

std::span<const TabuKernel> tabu_kernels() noexcept {
  return kTabuKernels;
}

const TabuKernel& best_tabu_kernel() noexcept {
  return best_of(kTabuKernels);
}

}  // namespace qama::hal::cpu
