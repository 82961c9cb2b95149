// What every annealer kernel must agree on to give the same spins: the random numbers, the table of
// exponential variates, the temperatures. Integers only from here on, so that nothing depends on an
// instruction set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hal/base/random.h"
#include "hal/problem.h"

namespace qama::hal::cpu {

/// Variates -ln(u) in fixed point, shuffled; a pass over 64 spins reads 64 of them in a row from a
/// random offset. One table for the whole process, read-only.
inline constexpr std::int32_t kVariates = 4096;   // a power of two: offsets are masked
inline constexpr std::int32_t kVariateBits = 12;  // fixed point: 1.0 = 1 << 12; largest 9.01
struct alignas(64) VariateTable {
  std::array<std::uint16_t, kVariates + 64> value;
};
[[nodiscard]] const VariateTable& variate_table() noexcept;

/// Temperatures are integers in 1/16 of an energy unit; variate * temperature >> 16 is a threshold.
/// The bound keeps thresholds inside int16.
inline constexpr std::int32_t kTemperatureOne = 16;
inline constexpr std::int32_t kMaxTemperature = 3600 * kTemperatureOne;

/// Key of one restart's stream, made of a solve's seed (hal/base/random.h).
[[nodiscard]] constexpr std::uint64_t restart_key(std::uint64_t seed,
                                                  std::int32_t restart) noexcept {
  return counter_random(mix64(seed ^ 0x51414D41ULL), static_cast<std::uint64_t>(restart));
}

/// Offset into the variate table for pass `pass` of a restart, where passes are numbered
/// (sweep * heads + head) * words + word. Four passes share one 64-bit number.
[[nodiscard]] constexpr std::uint32_t variate_offset(std::uint64_t key,
                                                     std::uint64_t pass) noexcept {
  return static_cast<std::uint32_t>(counter_random(key, pass >> 2) >> (16 * (pass & 3))) &
         (kVariates - 1);
}

/// What the head that is drawn for restart `restart` starts from. Its fields are guessed: those
/// without spins and `weight` times a row of couplings, that of a token drawn at random, as 16-bit
/// numbers that wrap. Selected is what exceeds half a penalty; with `counted`, what the other
/// heads' spins cost here instead. Restarts 2k and 2k + 1 draw the same tokens with opposite signs:
/// where the tokens of a head resemble each other, either half of them is tried.
struct StartGuess {
  std::int32_t weight;
  bool counted;
};
[[nodiscard]] constexpr StartGuess start_guess(std::int32_t restart, bool resumes) noexcept {
  const std::int32_t weight = resumes ? 8 : 2;
  return {(restart & 1) != 0 ? -weight : weight, resumes || (restart & 2) != 0};
}
/// Whether restart `restart` of a solve, which has not been annealed yet, starts from
/// random_spins() instead.
[[nodiscard]] constexpr bool starts_random(StartKind start, std::int32_t restart) noexcept {
  return start == StartKind::random || (start == StartKind::mixed && (restart & 2) != 0);
}
[[nodiscard]] constexpr std::uint64_t start_key(std::uint64_t seed, std::int32_t restart) noexcept {
  return mix64(restart_key(seed, restart & ~1) ^ 0x5354415254ULL);
}
[[nodiscard]] constexpr std::size_t start_token(std::uint64_t key, std::int32_t head,
                                                std::int32_t tokens) noexcept {
  return below(counter_random(key, static_cast<std::uint64_t>(head)),
               static_cast<std::size_t>(tokens));
}

/// Word `word` of random spins (heads of words_per_head words one after the other) for restart
/// `restart`; 3 of 8 are selected, about as many as when hot. Restarts 2k and 2k + 1 have one key
/// and share no selected spin.
[[nodiscard]] constexpr std::uint64_t random_spins(std::uint64_t key, std::int32_t restart,
                                                   std::int32_t word) noexcept {
  const auto at = static_cast<std::uint64_t>(word);
  const std::uint64_t half = counter_random(key, 2 * at);
  const std::uint64_t some = counter_random(key, 2 * at + 1);
  return ((restart & 1) != 0 ? ~half : half) & (some | (some << 32 | some >> 32));
}

/// The first `count` heads of a random order of all, for restart `restart` of a round.
void random_heads(std::uint64_t seed, std::int32_t restart, std::int32_t heads, std::int32_t count,
                  std::uint8_t* order) noexcept;

/// Root of the mean squared row norm of W: the unit of a Schedule's temperatures. 1 if W is 0.
[[nodiscard]] double row_norm(const DenseView& problem) noexcept;
[[nodiscard]] double row_norm(const SparseView& problem) noexcept;

/// Fills `temperatures[0 .. sweeps-1]`: beta rises linearly from 1/t_start to 1/t_end (a single
/// sweep runs at t_end). Temperatures are rounded to float first.
void fill_temperatures(double norm, double t_start, double t_end, std::int32_t sweeps,
                       std::uint16_t* temperatures) noexcept;

/// The same for the low-rank annealer, whose energies are float.
void fill_float_temperatures(float unit, double t_start, double t_end, std::int32_t sweeps,
                             float* temperatures) noexcept;

}  // namespace qama::hal::cpu
