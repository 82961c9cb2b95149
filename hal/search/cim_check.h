// What is left of a problem on an Ising machine of signed 8-bit couplings: spins and ancillas that
// it needs, steps that its couplings keep, energy that rounding costs, and in one sentence whether
// the machine has anything to do. What `qama cim-check` does.
//
// In signs, sigma in {-1, +1}, every problem is E = C - sum_{i<j} W_ij sigma_i sigma_j - sum_i F_i
// sigma_i. With k ancillas the machine's couplings are W and F / k, rounded with one scale: the
// largest that keeps W within +-127 and F within +-127 k.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "hal/cim_limits.h"
#include "hal/text/problem_file.h"

namespace qama::hal {

struct CimCheckOptions {
  std::int32_t machine_spins = kCimSpins;
  std::uint64_t seed = 1;
};

enum class CimVerdict : std::uint8_t {
  too_large,               ///< it does not fit
  diagonal,                ///< no two spins are coupled
  decided,                 ///< the fields decide every spin
  diagonal_at_eight_bits,  ///< the same two, but only after rounding with one ancilla
  coarse,                  ///< rounding with one ancilla costs more than 0.1 % of the energy
  fine,
};
/// "diagonal at eight bits".
[[nodiscard]] std::string_view name_of(CimVerdict verdict) noexcept;

/// The problem as the machine gets it, with a number of ancillas.
struct CimRounding {
  std::int32_t ancillas = 0;
  double scale = 0;                      ///< steps a unit of W and F
  bool exact = false;                    ///< nothing is rounded
  std::int32_t levels = 0;               ///< steps of the largest coupling
  double deviation = 0;                  ///< root mean square of the couplings unequal 0, in steps
  std::int64_t zeroed = 0;               ///< couplings unequal 0 that became 0
  double zeroed_share = 0;               ///< of all couplings unequal 0
  std::int64_t undecided = 0;            ///< spins that the fields do not decide
  std::vector<std::int64_t> steps = {};  ///< couplings of 0, 1, .. 127 steps, whatever the sign
  /// Of the best answer to the rounded problem, in the file's own numbers. Not where it does not
  /// fit. Per cent of the optimum without the file's offset; where that is 0, of what the optimum
  /// is below the mean over all answers.
  double value = 0, lost = 0, lost_percent = 0;
  std::string spins = {};  ///< that answer, as 0 and 1
};

struct CimCheck {
  std::int64_t spins = 0;           ///< without ancillas
  std::int64_t couplings = 0;       ///< unequal 0
  std::int64_t given_ancilla = -1;  ///< a spin of the file that carries the others' fields
  double largest_coupling = 0, largest_field = 0;
  std::int64_t undecided = 0;  ///< spins that the fields do not decide, before rounding
  bool fits = false;
  bool solved = false;  ///< the energies are there
  double optimum = 0;   ///< in the file's own numbers
  bool proven = false;  ///< else the best known of our annealer
  std::string spins_of_optimum = {};
  CimRounding one;                   ///< one ancilla, or none where no spin has a field
  CimRounding more;                  ///< as many as are wanted, or as the machine has
  std::int32_t wanted_ancillas = 0;  ///< that leave the couplings the whole range
  std::int32_t spare = 0;            ///< spins that the machine has for ancillas
  /// Further copies of spins that give the typical coupling 8 steps, where a few couplings are so
  /// large that ancillas cannot.
  std::int64_t copies = 0;
  CimVerdict verdict = CimVerdict::fine;
  std::string sentence = {};  ///< the verdict, with its figures
};

/// PROBLEM_TOO_LARGE for a layer whose couplings cannot be built; PROBLEM_BAD_VALUE for weights
/// that sum up to infinity or are all below 1e-298; the errors of solve().
[[nodiscard]] Result<CimCheck> cim_check(const ProblemFile& file, const CimCheckOptions& options);

}  // namespace qama::hal
