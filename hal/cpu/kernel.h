// The interface between the CPU device and its annealing kernels: one function a target, all with
// the same answer for the same job. reference.cpp is the readable definition; dense/dense_impl.h is
// the fast one, compiled once a target (isa/NAME.cpp). To add a target: kernels.cpp says how.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "hal/cpu/dense/recombine.h"
#include "hal/cpu/factors/factors.h"
#include "hal/cpu/planes/planes.h"
#include "hal/cpu/sparse/sparse.h"
#include "hal/problem.h"

namespace qama::hal::cpu {

/// Restarts that a kernel works on at the same time; it hides latency, it never changes an answer.
inline constexpr std::int32_t kMaxChains = 4;

/// What all restarts of a solve have in common.
struct AnnealJob {
  DenseView problem;
  const std::uint16_t* temperatures = nullptr;  ///< [sweeps], see schedule.h
  std::int32_t sweeps = 0;
  std::uint64_t seed = 0;
  bool settle = true;  ///< false: stop after the sweeps (tests of the stationary distribution)
  StartKind start = StartKind::guessed;
  /// 0: all heads in order, all at `temperatures`. Else heads in a chain's own `order`: the first
  /// `reheated` at `temperatures`, the others at the last of them.
  std::int32_t reheated = 0;
  /// Asked before every sweep if given; true: no more sweeps, on to descent. For deadlines.
  bool (*stop)(void* context) = nullptr;
  void* context = nullptr;
};

/// One restart: its state and its answer. Memory belongs to the solver (`fields`:
/// [heads][row_stride], `counts`: [row_stride], `spins`: [heads][words_per_head], all 64-byte
/// aligned).
struct Chain {
  std::int32_t restart = 0;        ///< in: number of the restart, selects the random numbers
  std::int16_t* fields = nullptr;  ///< g_ti = b_ti + sum_j W_tij s_tj
  std::int16_t* counts = nullptr;  ///< P * number of heads that select token i
  std::uint64_t* spins = nullptr;
  bool resume = false;  ///< in: start from the given state (all three); see anneal
  std::array<std::uint8_t, kMaxHeads> order{};  ///< in: see AnnealJob::reheated
  std::int64_t energy = 0;                      ///< out
  std::int64_t proposals = 0;                   ///< out
  std::int64_t flips = 0;                       ///< out
};

/// How many heads, the first of the order, start from a start_guess() or random spins: all, or of a
/// chain that resumes half of those that are reheated. None for a problem of one head or without
/// sweeps, which starts from all spins 0.
[[nodiscard]] constexpr std::int32_t heads_drawn(const AnnealJob& job,
                                                 const Chain& chain) noexcept {
  if (chain.resume) return (job.reheated + 1) / 2;
  return job.problem.shape.heads > 1 && job.sweeps > 0 ? job.problem.shape.heads : 0;
}

/// Sweeps of descent before the token moves, if there is more than one head.
inline constexpr std::int32_t kDescentSweeps = 1;

/// Sweeps, all at the last temperature, with which a combination of other answers' heads adapts
/// (recombine.h).
inline constexpr std::int32_t kAdaptSweeps = 2;

/// Anneals `chains` (1 to kMaxChains) from guessed spins, or from where they are: `sweeps` exact
/// sequential Metropolis sweeps (heads in order, tokens ascending), then descent to a local minimum
/// under single flips and the exact best subset of heads per token. Either all of `chains` resume
/// or none does.
using AnnealFunction = void (*)(const AnnealJob& job, std::span<Chain> chains);

/// One target's kernel.
struct Kernel {
  std::string_view name;  ///< "scalar", "sse2", "avx2", "avx512", "neon"
  AnnealFunction anneal;
  FactorsLoadFunction load_factors;
  FactorsAnnealFunction anneal_factors;
  PackPlanesFunction pack_planes;  ///< null: this kernel has no form on bit planes
  AnnealPlanesFunction anneal_planes;
  AnnealSparseFunction anneal_sparse;
  CollectFunction collect;
  SearchFunction search;
  AssembleFunction assemble;
  bool (*supported)() noexcept;
  std::string_view needs;  ///< for people: "AVX-512 F, BW, VL"
};

/// Every kernel that was compiled in, slowest first; the scalar reference is always there.
[[nodiscard]] std::span<const Kernel> kernels() noexcept;

/// The fastest one that this machine runs.
[[nodiscard]] const Kernel& best_kernel() noexcept;

}  // namespace qama::hal::cpu
