// Recombining for one target, compiled with its flags only, as kernel_avx512.cpp is. A file of its
// own: beside the annealer's templates the compiler inlines less of these, which had cost them a
// fifth of their speed.
#include "hal/cpu/dense/recombine_impl.h"

namespace qama::hal::cpu {

void collect_avx512(HeadPool& pool, const DenseView& problem, std::span<const Chain> chains,
                    std::int32_t best) {
  collect_fast<xsimd::avx512bw>(pool, problem, chains, best);
}

std::int32_t search_avx512(HeadPool& pool, const DenseView& problem) {
  return search_fast<xsimd::avx512bw>(pool, problem);
}

void assemble_avx512(const HeadPool& pool, const DenseView& problem, std::int32_t first,
                     std::span<Chain> chains) {
  assemble_fast<xsimd::avx512bw>(pool, problem, first, chains);
}

}  // namespace qama::hal::cpu
