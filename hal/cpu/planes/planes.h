// Problems of one head whose couplings have at most three values (a complete +-1 graph, an
// unweighted or
// +-1 graph of any density): couplings as bit planes, 8 to 16 times smaller than int16 rows, and a
// flip costs N/512 vector operations instead of N/32. The spins are those of reference.cpp, bit for
// bit.
//
//   W_ij = base + sum_k weight_k * bit_kij   for i != j, k < planes
//
// The method, in planes_impl.h: fields are kept up to date only for the word of 64 spins that is
// being swept. Flips are collected; seven at a time their rows are added, by carry-save adders, to
// vertical counters (bit l of lane j's counter is bit j of counter plane l), and a word's counters
// are turned into int16 fields when the sweep comes to it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/problem.h"

namespace qama::hal::cpu {

struct AnnealJob;
struct Chain;

inline constexpr std::int32_t kMaxPlanes = 2;
/// Restarts that are annealed in lock-step (measured: hal/cpu/EXPERIMENTS.md).
inline constexpr std::int32_t kPlaneChains = 4;
/// Counter planes that a chain needs: no spin flips twice in a sweep.
inline constexpr std::int32_t kCounterLevels = 16;

/// 64-bit words of one plane of one row: rows are whole vectors on every target.
[[nodiscard]] constexpr std::int32_t plane_row_words(std::int32_t tokens) noexcept {
  return (words_per_head(tokens) + 7) / 8 * 8;
}

struct CouplingPlanes {
  std::int32_t planes = 0;                        ///< 1 or 2; 0: not made
  std::int16_t base = 0;                          ///< the couplings' first value
  std::array<std::int16_t, kMaxPlanes> weight{};  ///< modulo 2^16, as all field arithmetic is
  /// [tokens + 1][kMaxPlanes][plane_row_words], diagonal 0; the last row is 0.
  std::uint64_t* bits = nullptr;
  /// [words][64][kMaxPlanes]: each word's own couplings once more, where its flips find them
  /// quickly.
  std::uint64_t* own = nullptr;
};

/// Reads the couplings into planes. False as soon as a fourth value is met; `bits` is unspecified
/// then.
using PackPlanesFunction = bool (*)(const DenseView& problem, CouplingPlanes& planes);

/// Like AnnealFunction. `counters`: [chains][kMaxPlanes][kCounterLevels][plane_row_words], 64-byte
/// aligned scratch, at most kMaxChains chains at a time.
using AnnealPlanesFunction = void (*)(const AnnealJob& job, const CouplingPlanes& planes,
                                      std::span<Chain> chains, std::uint64_t* counters);

/// Elements of `bits`, of `own`, and of one chain's counters.
[[nodiscard]] constexpr std::size_t plane_bits_words(std::int32_t tokens) noexcept {
  return (static_cast<std::size_t>(tokens) + 1) * kMaxPlanes *
         static_cast<std::size_t>(plane_row_words(tokens));
}
[[nodiscard]] constexpr std::size_t plane_own_words(std::int32_t tokens) noexcept {
  return static_cast<std::size_t>(row_stride(tokens)) * kMaxPlanes;
}
[[nodiscard]] constexpr std::size_t plane_counter_words(std::int32_t tokens) noexcept {
  return static_cast<std::size_t>(kMaxPlanes) * kCounterLevels *
         static_cast<std::size_t>(plane_row_words(tokens));
}

}  // namespace qama::hal::cpu
