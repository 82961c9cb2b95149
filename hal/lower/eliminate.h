// Data reduction: a graph, a quadratic form or an Ising problem without its variables of at most
// three neighbours, and the way back. Nothing is lost: an optimum of what is left is an optimum of
// the whole.
//
// A variable v with couplings J_1 .. J_3 takes, whatever its neighbours are, the side that costs
// - |J_1 s_1 + J_2 s_2 + J_3 s_3|. For spins +1 and -1 that is a constant plus couplings between
// the neighbours (the star-triangle relation of the Ising model). So v goes, and its neighbours are
// coupled instead. A field is a coupling with one more spin, which is +1.
//
// Only where the doubles are exact: a variable whose neighbours' new couplings would have to be
// rounded stays.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hal/text/problem_file.h"

namespace qama::hal {

class Elimination {
 public:
  /// Variables of more neighbours stay.
  static constexpr std::size_t kNeighbours = 3;

  /// None if no variable goes, and for a layer; throws std::bad_alloc.
  [[nodiscard]] static std::optional<Elimination> of(const ProblemFile& file);

  /// What is left: a max-cut of `kernel().graph.size` vertices, 0 if nothing is. Its weights are
  /// whole numbers where a power of two makes them so; its values are not the file's.
  [[nodiscard]] const ProblemFile& kernel() const noexcept { return kernel_; }
  /// Variables of the file that the kernel does not have.
  [[nodiscard]] std::int64_t removed() const noexcept {
    return static_cast<std::int64_t>(steps_.size());
  }
  /// The best answer to the file's problem with these spins of the kernel (bit i % 64 of word
  /// i / 64); throws std::bad_alloc.
  [[nodiscard]] std::vector<std::uint64_t> lift(std::span<const std::uint64_t> spins) const;

 private:
  /// A variable that went, with its couplings at that time.
  struct Step {
    std::int32_t variable = 0;
    std::int32_t count = 0;
    std::array<std::int32_t, kNeighbours> others{};
    std::array<double, kNeighbours> couplings{};
  };
  ProblemFile kernel_;
  std::int32_t size_ = 0;               ///< of the file; the spin of its fields is number size_
  std::vector<Step> steps_;             ///< in the order in which they went
  std::vector<std::int32_t> vertices_;  ///< of the kernel, as the file numbers them
};

}  // namespace qama::hal
