// What the tests of hal/ share: owned random problems of many kinds, a kernel called directly on
// its chains, and exact enumeration that is independent of everything under hal/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/base/random.h"
#include "hal/cpu/kernel.h"
#include "hal/problem.h"

namespace qama::hal::test {

/// The random numbers of the tests: the same on every platform, which std distributions are not.
class Random {
 public:
  explicit Random(std::uint64_t seed) : stream_(seed) {}
  std::uint64_t next() noexcept { return stream_.next(); }
  /// Uniform in low .. high, both included.
  std::int64_t between(std::int64_t low, std::int64_t high) noexcept;
  /// Uniform in [0, 1).
  double unit() noexcept { return unit_interval(next()); }

 private:
  SplitMix64 stream_;
};

/// What a random problem stresses.
enum class ProblemKind : std::uint8_t {
  dense,       ///< couplings and fields of all sizes
  sparse,      ///< most couplings 0
  zero,        ///< no couplings at all
  extreme,     ///< every row's sum is exactly 32767
  ties,        ///< few different numbers: equal fields, equal energies
  same_heads,  ///< all heads alike, all couplings positive
};
inline constexpr std::array kProblemKinds = {ProblemKind::dense, ProblemKind::sparse,
                                             ProblemKind::zero,  ProblemKind::extreme,
                                             ProblemKind::ties,  ProblemKind::same_heads};

/// A DenseView with its memory; movable, the view stays valid.
class OwnedProblem {
 public:
  /// All couplings and fields 0.
  OwnedProblem(const ProblemShape& shape, std::int16_t penalty);
  /// A random problem that keeps every rule of DenseView. `penalty` is cut to what fits.
  static OwnedProblem random(const ProblemShape& shape, ProblemKind kind, std::int32_t penalty,
                             Random& random);

  /// A problem that views this memory; its shape and numbers may be changed (tests of broken rules
  /// do).
  [[nodiscard]] DenseView problem() const noexcept;
  std::int16_t& coupling(std::int32_t t, std::int32_t i, std::int32_t j) noexcept;
  std::int16_t& field(std::int32_t t, std::int32_t i) noexcept;
  /// Both triangles.
  void couple(std::int32_t t, std::int32_t i, std::int32_t j, std::int16_t value) noexcept;

 private:
  ProblemShape shape_;
  std::int16_t penalty_;
  AlignedBuffer<std::int16_t> couplings_;
  AlignedBuffer<std::int16_t> fields_;
};

/// The rows of neighbours of a problem of one head, with their memory.
class OwnedSparse {
 public:
  explicit OwnedSparse(const DenseView& dense);
  /// N spins with about `neighbours` random ones each, couplings -9 .. 9 without 0, fields -20
  /// .. 20.
  static OwnedSparse random(std::int32_t spins, std::int32_t neighbours, Random& random);

  /// Views this memory, which tests of broken rules may change.
  [[nodiscard]] SparseView problem() const noexcept;
  [[nodiscard]] std::int64_t count() const noexcept {
    return static_cast<std::int64_t>(neighbours.size());
  }
  std::int32_t spins = 0;
  std::vector<std::int64_t> first;
  std::vector<Neighbour> neighbours;
  std::vector<std::int16_t> fields;

 private:
  OwnedSparse() = default;
};

/// What one restart answered.
struct ChainAnswer {
  std::vector<std::uint64_t> spins;
  std::int64_t energy = 0;
  std::int64_t proposals = 0;
  std::int64_t flips = 0;
  friend bool operator==(const ChainAnswer&, const ChainAnswer&) = default;
};

/// Calls a kernel on its own memory: restarts `first` .. `first + chains - 1` of one job.
class KernelRun {
 public:
  KernelRun(const cpu::Kernel& kernel, const ProblemShape& shape);
  /// `chains` is 1 .. kMaxChains. `settle` false: the chains stop after their sweeps.
  std::vector<ChainAnswer> operator()(const DenseView& problem,
                                      const std::vector<std::uint16_t>& temperatures,
                                      std::uint64_t seed, std::int32_t first, std::int32_t chains,
                                      bool settle = true);

 private:
  const cpu::Kernel& kernel_;
  AlignedBuffer<std::int16_t> fields_;
  AlignedBuffer<std::int16_t> counts_;
  AlignedBuffer<std::uint64_t> spins_;
  std::size_t field_room_ = 0, count_room_ = 0, spin_room_ = 0;
};

/// The kernels that this machine runs; the first call says on standard output which ones it does
/// not.
const std::vector<const cpu::Kernel*>& kernels_under_test();

/// The problem's definition in double, term by term, with no use of hal's code.
double brute_force_energy(const DenseView& problem, const std::vector<std::uint64_t>& spins);

/// Every state of a problem of at most 20 spins: the lowest energy.
double brute_force_minimum(const DenseView& problem);

std::string describe_case(const DenseView& problem, std::string_view more);

}  // namespace qama::hal::test
