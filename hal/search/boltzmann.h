// Samples of a problem at a temperature: answers x with a probability proportional to
// exp(-E(x) / T), for people who train Boltzmann machines or ask how likely an answer is. E is what
// the problem minimises, in the file's own units; of a problem that maximises, the negative.
//
// Of few variables, all answers are tried, and each sample is drawn by itself from the exact
// probabilities. Of many, there are Markov chains with the heat-bath rule. What a flip costs is
// exact, as a landscape has it. A chain begins with random variables, cools down to T, and gives a
// sample every few sweeps. Samples of one chain resemble each other the more the lower T is:
// `between` is the remedy. Far below the couplings, a chain stays where it has cooled down to, and
// how many chains are in each valley is not how likely the valley is.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "hal/base/result.h"
#include "hal/text/problem_file.h"

namespace qama::hal {

struct BoltzmannRequest {
  double temperature = 1;  ///< T > 0, in the units of the problem's values
  std::int32_t burn_in =
      200;                    ///< sweeps of a chain before its first sample; half of them cool down
  std::int32_t between = 10;  ///< sweeps from one sample of a chain to its next; 1 or more
  std::uint64_t seed = 1;
  std::int32_t threads = 1;  ///< the samples do not depend on it
  /// As SolveRequest::stop; sampling that is stopped fails with CANCELLED.
  const std::atomic<bool>* stop = nullptr;
  /// All answers of at most so many variables are tried, where that is no more work than the
  /// chains': 0 to kMaxTried. 20: 8 MiB of memory.
  std::int32_t most_tried = 20;
};

/// Chains, or streams of random numbers, that the samples are dealt to in turn: sample k is of
/// chain k % kBoltzmannChains.
inline constexpr std::int64_t kBoltzmannChains = 32;

/// Fills in `samples` [count][variables], bytes 0 or 1, and `values` [count] (value_of), which may
/// be empty. INVALID_ARGUMENT for a request out of bounds, PROBLEM_TOO_LARGE for a layer of more
/// than 2^26 couplings; the errors of Landscape::of.
[[nodiscard]] Status sample_boltzmann(const ProblemFile& file, const BoltzmannRequest& request,
                                      std::int64_t count, std::span<std::uint8_t> samples,
                                      std::span<double> values);

}  // namespace qama::hal
