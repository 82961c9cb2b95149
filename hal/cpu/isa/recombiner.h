// Makes the recombiner of one instruction set, as annealers.h makes its annealers. Each has a file
// of its own, isa/recombine_NAME.cpp: beside the annealers' templates g++ inlines less of the
// recombiner's, which costs it a fifth of its speed.
#pragma once

#include "hal/cpu/dense/recombine_impl.h"

#define QAMA_RECOMBINER(NAME, ARCHITECTURE)                                                    \
  void collect_##NAME(HeadPool& pool, const DenseView& problem, std::span<const Chain> chains, \
                      std::int32_t best) {                                                     \
    collect_fast<ARCHITECTURE>(pool, problem, chains, best);                                   \
  }                                                                                            \
  std::int32_t search_##NAME(HeadPool& pool, const DenseView& problem) {                       \
    return search_fast<ARCHITECTURE>(pool, problem);                                           \
  }                                                                                            \
  void assemble_##NAME(const HeadPool& pool, const DenseView& problem, std::int32_t first,     \
                       std::span<Chain> chains) {                                              \
    assemble_fast<ARCHITECTURE>(pool, problem, first, chains);                                 \
  }
