// Random numbers and seeds: one generator and one rule for all of the project. Integers only, so
// that every machine draws the same numbers.
//
// The generator is splitmix64 (Steele, Lea and Flood, 2014), read by counter: the k-th number of a
// stream is a function of (key, k) alone.
//
// The rule for seeds has three levels.
//   1. The user gives one seed, or the model file does.
//   2. solve_seed() makes of it a seed for each solve. Where the numbers come from:
//        a session           index = the sample's index, part = the layer
//        the C API's solver  index = the batch's seed, part = the sample's place in the batch
//        qama solve          index = the part of the restarts, part = 0
//        qama tune           index = the layer that was recorded, part = the run
//   3. An annealer makes of a solve's seed a key for each restart (hal/cpu/schedule.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace qama {

inline constexpr std::uint64_t kGoldenRatio = 0x9E3779B97F4A7C15ULL;  ///< 2^64 / phi, odd

/// The finaliser of splitmix64: every bit of the input changes half of the output's.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

/// Number `k` of the stream `key`.
[[nodiscard]] constexpr std::uint64_t counter_random(std::uint64_t key, std::uint64_t k) noexcept {
  return mix64(key + (k + 1) * kGoldenRatio);
}

/// A number in [0, 1), a multiple of 2^-53, from 64 random bits.
[[nodiscard]] constexpr double unit_interval(std::uint64_t random) noexcept {
  return static_cast<double>(random >> 11) * 0x1p-53;
}

/// A number in 0 .. end - 1 from 64 random bits, where `end` is below 2^32: the upper half of them
/// times `end`. Each is as likely as any other to 2^-32.
[[nodiscard]] constexpr std::size_t below(std::uint64_t random, std::size_t end) noexcept {
  return static_cast<std::size_t>((random >> 32) * static_cast<std::uint64_t>(end) >> 32);
}

/// The seed of solve (index, part) of a run that was given `seed`.
[[nodiscard]] constexpr std::uint64_t solve_seed(std::uint64_t seed, std::uint64_t index,
                                                 std::int32_t part) noexcept {
  const std::uint64_t of_index = counter_random(counter_random(seed, 0) ^ index, 0);
  return counter_random(of_index ^ static_cast<std::uint64_t>(part), 0);
}

/// A stream read in order: next() is counter_random(seed, 0), (seed, 1), ...
class SplitMix64 {
 public:
  explicit constexpr SplitMix64(std::uint64_t seed) noexcept : state_(seed) {}
  constexpr std::uint64_t next() noexcept { return mix64(state_ += kGoldenRatio); }

 private:
  std::uint64_t state_;
};

}  // namespace qama
