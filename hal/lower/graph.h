// Max-cut and quadratic forms as integers: the couplings and fields of a device's problem before
// they are laid out as a matrix or as rows. For lower.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "hal/base/result.h"
#include "hal/text/problem_file.h"

namespace qama::hal {

/// The integers of a DenseView or a SparseView: E = - sum W s_i s_j - sum b s_i.
struct RoundedIsing {
  struct Coupling {
    std::int32_t first, second;
    std::int16_t value;
  };
  std::vector<Coupling> couplings;  ///< sorted, first < second
  std::vector<std::int16_t> fields;
  double scale = 1.0;
  double row_norm = 1.0;
  bool exact = false;
  std::int32_t fixed = -1;
};

/// PROBLEM_BAD_VALUE where weights sum up to infinity. Minimising E maximises a cut.
[[nodiscard]] Result<RoundedIsing> round_ising(const ProblemFile& file);

}  // namespace qama::hal
