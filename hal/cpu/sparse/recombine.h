// Recombination of a problem on sparse rows (SolveOptions::from). Restarts that begin with the best
// answer differ from it in patches, which touch each other nowhere. A patch that lowers the energy
// by itself, or does not raise it, is kept, whichever restart it comes from and whatever the rest
// of that restart is worth. So gains add up over a large graph.
//
// Sums of integers: one scalar version for all kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "hal/cpu/sparse/sparse.h"
#include "hal/problem.h"

namespace qama::hal::cpu {

/// The best answer and its fields. Memory is allocated once, for problems up to `spins`.
class SparseBest {
 public:
  explicit SparseBest(std::int32_t spins);

  /// Begins with these spins.
  void load(const SparseView& problem, const std::uint64_t* spins);
  /// Takes what is better, or as good, of each of `chains.count` restarts in turn. Restarts began
  /// `from` this or any other answer.
  void take(const SparseView& problem, const SparseChains& chains);

  [[nodiscard]] const std::uint64_t* spins() const noexcept { return spins_.data(); }
  [[nodiscard]] const std::int16_t* fields() const noexcept { return fields_.data(); }
  [[nodiscard]] std::int64_t energy() const noexcept { return energy_; }

 private:
  [[nodiscard]] bool selected(std::int32_t i) const {
    return ((spins_[static_cast<std::size_t>(i / 64)] >> (i % 64)) & 1U) != 0;
  }
  void take_patches(const SparseView& problem, std::uint64_t* differs);
  void flip(const SparseView& problem, std::int32_t i);

  std::vector<std::uint64_t> spins_;
  std::vector<std::int16_t> fields_;
  std::int64_t energy_ = 0;
  std::vector<std::uint64_t> restarts_;  ///< [kSparseLanes][words] spins of the restarts
  std::vector<std::uint64_t> open_;      ///< spins that differ and are in no patch yet
  std::vector<std::int32_t> patch_;
};

}  // namespace qama::hal::cpu
