// Makes the annealers of one instruction set: QAMA_ANNEALERS(NAME, ARCHITECTURE) in isa/NAME.cpp,
// once, inside qama::hal::cpu. Included by those files only, which are compiled with flags of their
// own: nothing here may become inline code that other files share.
#pragma once

#include "hal/base/vectors.h"

#include "hal/cpu/dense/dense_impl.h"
#include "hal/cpu/factors/factors_impl.h"
#include "hal/cpu/planes/planes_impl.h"
#include "hal/cpu/sparse/sparse_impl.h"

#define QAMA_ANNEALERS(NAME, ARCHITECTURE)                                      \
  void anneal_##NAME(const AnnealJob& job, std::span<Chain> chains) {           \
    anneal_fast<ARCHITECTURE>(job, chains);                                     \
  }                                                                             \
  void load_factors_##NAME(const FactorsView& problem, FactorsLayout& layout) { \
    load_factors<WholeFloats<ARCHITECTURE>>(problem, layout);                   \
  }                                                                             \
  void anneal_factors_##NAME(const FactorsJob& job, FactorsChain& chain) {      \
    anneal_factors<WholeFloats<ARCHITECTURE>>(job, chain);                      \
  }                                                                             \
  bool pack_planes_##NAME(const DenseView& problem, CouplingPlanes& planes) {   \
    return pack_planes<ARCHITECTURE>(problem, planes);                          \
  }                                                                             \
  void anneal_planes_##NAME(const AnnealJob& job, const CouplingPlanes& planes, \
                            std::span<Chain> chains, std::uint64_t* counters) { \
    anneal_planes<ARCHITECTURE>(job, planes, chains, counters);                 \
  }                                                                             \
  void anneal_sparse_##NAME(const AnnealJob& job, const SparseView& problem,    \
                            SparseChains& chains) {                             \
    anneal_sparse<ARCHITECTURE>(job, problem, chains);                          \
  }
