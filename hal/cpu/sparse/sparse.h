// Problems of one head with few couplings a spin: rows of neighbours instead of a matrix, so that a
// flip costs its neighbours and memory is linear in the couplings. The spins are those of
// reference.cpp on the same problem as a matrix, bit for bit; sparse/reference.cpp is the readable
// version, sparse_impl.h the fast one.
//
// Where rows are short there is nothing to gain from many spins in a vector: flips cost, not
// proposals. So a vector's lanes are restarts. A spin is proposed in up to kSparseLanes restarts at
// once, and where any of them flips, each neighbour's fields of all restarts are one vector
// addition.
#pragma once

#include <array>
#include <cstdint>

#include "hal/problem.h"

namespace qama::hal::cpu {

struct AnnealJob;

/// Restarts that are annealed side by side; the answers do not depend on how many are.
inline constexpr std::int32_t kSparseLanes = 32;

/// A group of restarts. Memory belongs to the solver, 64-byte aligned.
struct SparseChains {
  std::int32_t first = 0;  ///< in: number of the first restart
  std::int32_t count = 0;  ///< in: 1 to kSparseLanes
  /// In: spins that all restarts begin with, and the fields that they make; null: all spins 0.
  const std::uint64_t* from = nullptr;
  const std::int16_t* from_fields = nullptr;
  std::int16_t* fields = nullptr;    ///< [N][kSparseLanes] scratch
  std::int16_t* selected = nullptr;  ///< [N][kSparseLanes] scratch: -1 for a selected spin. With
                                     ///< `from`, out: restart k's spins in column k
  std::uint64_t* scratch = nullptr;  ///< [words_per_head(N)]
  std::uint64_t* spins = nullptr;    ///< [words_per_head(N)] out: of the restart `best`
  std::int32_t best = 0;             ///< out: of lowest energy, the first of equals; counted from 0
  std::array<std::int64_t, kSparseLanes> energy{};  ///< out
  std::int64_t proposals = 0;                       ///< out: of all
  std::int64_t flips = 0;                           ///< out: of all
};

/// Sweeps and descent of reference.cpp for one head, with `job.problem.shape` {1, N}; fields and
/// couplings are read from `problem`.
using AnnealSparseFunction = void (*)(const AnnealJob& job, const SparseView& problem,
                                      SparseChains& chains);

void anneal_sparse_reference(const AnnealJob& job, const SparseView& problem, SparseChains& chains);

}  // namespace qama::hal::cpu
