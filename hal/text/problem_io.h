// Problems in text files: reading, writing, their energy in the file's own numbers, and the step
// from there to the integers that devices solve. To add a format: an enumerator, a parser in
// problem_io.cpp, a line in its table of names, and a line in sniff_format() if its files can be
// told from others.
//
// All formats are white-space separated numbers, in C notation whatever the locale:
//   qama     qama NAME / H N D rho lambda / for each head: signs sg_1 .. sg_D (+1 or -1), then N
//   rows
//            h_i F_i1 .. F_iD.   J_tij = sum_d sg_td F_tid F_tjd for i != j; minimise the paper's
//            Eq. 3, E = - sum_t sum_{i<j} J_tij s_ti s_tj - rho sum h_ti s_ti + lambda sum_i
//            sum_{t<u} s_ti s_ui
//   maxcut   n m / m times: i j w (vertices from 1, integer w). Maximise the weight between s = 0
//   and s = 1. qubo     n m / m times: i j w (variables from 1; i = j is a linear term). Minimise
//   sum w x_i x_j.
// An edge or term that occurs again adds to the first one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "hal/lower/problem_builder.h"
#include "hal/problem.h"

namespace qama::hal {

enum class ProblemFormat : std::uint8_t { qama, maxcut, qubo };
[[nodiscard]] std::string_view name_of(ProblemFormat format) noexcept;
/// INVALID_ARGUMENT for another name.
[[nodiscard]] Result<ProblemFormat> parse_problem_format(std::string_view name);

/// Bounds on a file, checked before anything is allocated; sizes inside it are also checked against
/// the bytes that are there. A file within them can still be too large to solve (to_dense).
inline constexpr std::size_t kMaxProblemBytes = std::size_t{1} << 28;
inline constexpr std::int32_t kMaxRank = 4096;
inline constexpr double kMaxIntegerWeight = 1073741824.0;  ///< 2^30, of a max-cut edge

/// A QAMA layer in factor form.
struct QamaLayer {
  std::string name;         ///< one word
  std::int32_t heads = 0;   ///< H
  std::int32_t tokens = 0;  ///< N
  std::int32_t rank = 0;    ///< D
  double rho = 0;
  double lambda = 0;
  std::vector<double> signs;    ///< [H][D]
  std::vector<double> fields;   ///< [H][N], h
  std::vector<double> factors;  ///< [H][N][D]
};

/// A weighted pair, from 0; first <= second.
struct Edge {
  std::int32_t first = 0;
  std::int32_t second = 0;
  double weight = 0;
};

/// A graph (maxcut) or a quadratic form (qubo), sparse.
struct EdgeList {
  std::int32_t size = 0;
  std::vector<Edge> edges;  ///< sorted, every pair once; qubo: first == second is linear
};

/// A problem as read. `layer` belongs to qama, `graph` to the other formats.
struct ProblemFile {
  ProblemFormat format = ProblemFormat::qama;
  QamaLayer layer;
  EdgeList graph;

  /// Heads x spins as devices see it; generic problems have one head.
  [[nodiscard]] ProblemShape shape() const noexcept;
};

/// Which format a file is in: "qama" as its first word; else .qubo or .bqp at the end of `name` or
/// a linear term among its lines means qubo; else maxcut.
[[nodiscard]] ProblemFormat sniff_format(std::string_view bytes, std::string_view name) noexcept;

/// Reads a file's bytes. PROBLEM_BAD_FORMAT (with the line), PROBLEM_TOO_LARGE, PROBLEM_BAD_VALUE
/// (a number that is not finite, a fractional max-cut weight, a negative penalty).
[[nodiscard]] Result<ProblemFile> parse_problem(std::string_view bytes, ProblemFormat format,
                                                std::string_view name);

/// The layer in the qama text format, numbers with nine digits.
[[nodiscard]] std::string to_text(const QamaLayer& problem);
/// A quadratic form in the qubo text format, numbers with nine digits.
[[nodiscard]] std::string to_text(const EdgeList& problem);
/// A selection problem as a quadratic form in its own units, without its offset; spin i of head t
/// is variable t N + i.
[[nodiscard]] EdgeList to_qubo(const DenseView& problem);

/// Spins of all functions below: [heads][words_per_head(tokens)], as in problem.h.

/// E(s) of a layer, in double straight from the factors; O(H N D).
[[nodiscard]] double energy_of(const QamaLayer& problem, std::span<const std::uint64_t> spins);
/// sum w x_i x_j of a quadratic form, in double.
[[nodiscard]] double qubo_energy_of(const EdgeList& problem, std::span<const std::uint64_t> spins);
/// Weight between the two sides of a graph with integer weights, exact.
[[nodiscard]] std::int64_t cut_of(const EdgeList& problem, std::span<const std::uint64_t> spins);

/// What came of rounding to integers.
struct DenseBuild {
  ProblemBuffer buffer;  ///< holds the problem
  bool exact = false;    ///< every weight is represented without rounding, at scale 1
  /// A max-cut's vertex that was fixed to side 0, which costs nothing as both sides may be swapped,
  /// and which turns its edges into fields; -1: none (qubo; a complete graph of two weights, which
  /// it would give a third). Its own spin means nothing.
  std::int32_t fixed = -1;
};

/// The integers that a device solves. For maxcut minimising E maximises the cut. PROBLEM_TOO_LARGE
/// where dense couplings would exceed kMaxDenseTokens or 2^28 elements, PROBLEM_BAD_VALUE,
/// OUT_OF_MEMORY.
[[nodiscard]] Result<DenseBuild> to_dense(const ProblemFile& file);

/// A max-cut or qubo file as rows of neighbours, with the same integers, `exact` and `fixed` as
/// to_dense's.
struct SparseBuild {
  std::vector<std::int64_t> first;
  std::vector<Neighbour> neighbours;
  AlignedBuffer<std::int16_t> fields;
  SparseView problem;  ///< views the three
  bool exact = false;
  std::int32_t fixed = -1;
};
/// PROBLEM_BAD_VALUE, OUT_OF_MEMORY; INVALID_ARGUMENT for a qama file.
[[nodiscard]] Result<SparseBuild> to_sparse(const ProblemFile& file);

/// A layer as factors in float: left = F, right = F times the columns' signs, one array where all
/// signs are +1.
struct FactorsBuild {
  std::vector<float> left, right, fields;
  FactorsView problem;  ///< views the three
};
/// PROBLEM_TOO_LARGE above kMaxRankLimit columns, OUT_OF_MEMORY.
[[nodiscard]] Result<FactorsBuild> to_factors(const QamaLayer& layer);

}  // namespace qama::hal
