// A problem's energy in the file's own numbers, without rounding, and the improvement of an answer
// that an annealer found with weights rounded to 16 bits.
//
// Every weight of a file is a double, so a mantissa times a power of two. All sums are integers in
// units of the smallest such power, of 1, 2, 4 or 36 words; 36 hold any sum of doubles. So an
// energy difference of 1e-9 counts beside weights of 1e18.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "hal/base/result.h"
#include "hal/search/wide.h"
#include "hal/text/problem_file.h"

namespace qama::hal {

/// When a search ends early. Neither changes what is found before.
struct Halt {
  const std::atomic<bool>* stop = nullptr;                             ///< null: nobody asks
  std::optional<std::chrono::steady_clock::time_point> deadline = {};  ///< none
  [[nodiscard]] bool asked_to_stop() const noexcept {
    return stop != nullptr && stop->load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool now() const noexcept {
    return asked_to_stop() || (deadline && std::chrono::steady_clock::now() >= *deadline);
  }
};

/// sum_i a_i x_i + sum_{i<j} w_ij x_i x_j, to be minimised over x in {0, 1}; variable t N + i is
/// spin i of head t. Immutable; threads may share one.
class Landscape {
 public:
  /// A pair of a row; a pair may have several weights, which follow each other.
  struct Term {
    std::int64_t mantissa = 0;
    std::int32_t shift = 0;
    std::int32_t other = 0;
  };

  /// PROBLEM_BAD_VALUE where weights sum up to infinity; OUT_OF_MEMORY. A layer's couplings are
  /// built, in double: for small ones.
  [[nodiscard]] static Result<Landscape> of(const ProblemFile& file);
  /// Terms that a landscape of this file has, before anything is allocated; of a graph.
  [[nodiscard]] static std::int64_t terms_of(const ProblemFile& file) noexcept;

  [[nodiscard]] std::int32_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<const Term> row(std::int32_t i) const noexcept {
    const auto k = static_cast<std::size_t>(i);
    return {terms_.data() + first_[k], static_cast<std::size_t>(first_[k + 1] - first_[k])};
  }
  [[nodiscard]] std::int64_t terms() const noexcept {
    return static_cast<std::int64_t>(terms_.size());
  }
  /// Terms of one variable: `other` is the variable.
  [[nodiscard]] std::span<const Term> linear() const noexcept { return linear_; }
  /// A term's weight is mantissa * 2^(shift + exponent()).
  [[nodiscard]] std::int32_t exponent() const noexcept { return exponent_; }
  /// Words of an integer that holds every sum: 1, 2, 4 or 36.
  [[nodiscard]] std::size_t words() const noexcept { return words_; }

 private:
  std::int32_t size_ = 0;
  std::int32_t exponent_ = 0;
  std::vector<std::int64_t> first_;  ///< [size + 1]
  std::vector<Term> terms_;
  std::vector<Term> linear_;
  std::size_t words_ = 1;
};

/// Calls visit(std::integral_constant<std::size_t, N>()) where N is landscape.words().
template <typename Visit>
auto with_width(const Landscape& landscape, Visit&& visit) {
  switch (landscape.words()) {
    case 1:
      return visit(std::integral_constant<std::size_t, 1>());
    case 2:
      return visit(std::integral_constant<std::size_t, 2>());
    case 4:
      return visit(std::integral_constant<std::size_t, 4>());
    default:
      return visit(std::integral_constant<std::size_t, 36>());
  }
}

/// Improves answers. Holds its state: one thread at a time; the landscape must outlive it.
class Improver {
 public:
  virtual ~Improver() = default;
  /// Changes `spins` (bit i % 64 of word i / 64 is variable i) into an answer that is no worse:
  /// first a descent by flips of one variable and of two that are coupled, until neither helps;
  /// then `steps` of a tabu search, from there and from disturbed copies of the best answer. The
  /// same spins, seed and steps give the same answer.
  virtual void improve(std::span<std::uint64_t> spins, std::uint64_t seed, std::int64_t steps,
                       const Halt& halt) = 0;
  /// The energy of the last answer, exact: words of a two's complement, the lowest first.
  [[nodiscard]] virtual std::vector<std::uint64_t> energy() const = 0;
};
[[nodiscard]] std::unique_ptr<Improver> make_improver(const Landscape& landscape);

/// Whether energy `a` is below `b`, both of improvers on one landscape.
[[nodiscard]] bool is_lower(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b);

}  // namespace qama::hal
