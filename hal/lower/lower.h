// From a problem file to what a device solves, form by form, and back (decode.h). To add a kind of
// problem: its integers in a file like graph.cpp, its value in decode.cpp, a branch here.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "hal/form.h"
#include "hal/lower/decode.h"
#include "hal/lower/problem_builder.h"
#include "hal/problem.h"
#include "hal/text/problem_file.h"

namespace qama::hal {

struct DenseBuild {
  ProblemBuffer buffer;  ///< holds the problem
  Decode decode;
};
/// PROBLEM_TOO_LARGE where dense couplings would exceed kMaxDenseTokens or 2^28 elements,
/// PROBLEM_BAD_VALUE, OUT_OF_MEMORY.
[[nodiscard]] Result<DenseBuild> to_dense(const ProblemFile& file);

/// Rows of neighbours, with the same integers and the same way back as to_dense's.
struct SparseBuild {
  std::vector<std::int64_t> first;
  std::vector<Neighbour> neighbours;
  AlignedBuffer<std::int16_t> fields;
  SparseView problem;  ///< views the three
  Decode decode;
};
/// PROBLEM_BAD_VALUE, OUT_OF_MEMORY; INVALID_ARGUMENT for a layer.
[[nodiscard]] Result<SparseBuild> to_sparse(const ProblemFile& file);

/// Factors in float: left = F, right = F times the columns' signs, one array where all signs are
/// +1.
struct FactorsBuild {
  std::vector<float> left, right, fields;
  FactorsView problem;  ///< views the three
  Decode decode;
};
/// PROBLEM_TOO_LARGE above kMaxRankLimit columns, OUT_OF_MEMORY; INVALID_ARGUMENT for a graph.
[[nodiscard]] Result<FactorsBuild> to_factors(const ProblemFile& file);

/// A problem in one form, with its memory.
struct Lowered {
  std::variant<DenseBuild, SparseBuild, FactorsBuild> build;
  Form form = Form::dense;  ///< planes are dense memory that the device packs
  [[nodiscard]] Problem problem() const;
  [[nodiscard]] const Decode& decode() const;
};
/// INVALID_ARGUMENT where a problem of this kind has no such form; the errors of the three above.
[[nodiscard]] Result<Lowered> lower(const ProblemFile& file, Form form);

/// What the choice of a form depends on, of this problem: its shape, rank, edges and values. The
/// caller adds restarts, schedule and the device's forms.
[[nodiscard]] FormQuestion form_question(const ProblemFile& file);

/// The opposite way: a device's problem as a quadratic form in its own units, without its offset;
/// spin i of head t is variable t N + i.
[[nodiscard]] ProblemFile to_qubo(const DenseView& problem);

}  // namespace qama::hal
