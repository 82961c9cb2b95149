// Problems as text files hold them: real numbers, sparse where the file is sparse. The formats that
// these types are read from and printed to are in formats.h; the step to the integers of a device
// is hal/lower.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hal/problem.h"

namespace qama::hal {

/// What a file asks for. Several formats may hold the same kind.
enum class ProblemKind : std::uint8_t {
  qama,    ///< a layer: minimise its energy
  maxcut,  ///< a graph: maximise the weight between s = 0 and s = 1
  qubo,    ///< a quadratic form: minimise sum w x_i x_j over x in {0, 1}
  ising,   ///< fields and couplings: minimise sum h_i s_i + sum J_ij s_i s_j over s in {-1, +1}
};
[[nodiscard]] std::string_view name_of(ProblemKind kind) noexcept;

/// Bounds on a file, checked before anything is allocated; sizes inside it are also checked against
/// the bytes that are there. A file within them can still be too large to solve (to_dense). A file
/// is held in memory: a quarter of the addresses where they have 32 bits.
inline constexpr std::size_t kMaxProblemBytes = std::size_t{1} << (sizeof(void*) == 8 ? 34 : 30);
inline constexpr std::int32_t kMaxRank = 4096;

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

/// A graph (maxcut), a quadratic form (qubo) or an Ising problem, sparse.
struct EdgeList {
  std::int32_t size = 0;
  /// Sorted. A pair occurs once, or several times where the sum of its weights is no double: all
  /// count. qubo, ising: first == second is linear.
  std::vector<Edge> edges;
};

/// A problem as read. `layer` belongs to kind qama, `graph` to the other kinds.
struct ProblemFile {
  ProblemKind kind = ProblemKind::qama;
  QamaLayer layer;
  EdgeList graph;
  bool maximise = false;  ///< qubo, ising: the largest value is wanted
  double offset = 0;      ///< added to every value
  /// How it was read, for people; empty and 1 for what comes from memory.
  std::string format = {};        ///< the format's name
  std::string guessed_from = {};  ///< why this format: "the name .qubo"; empty: it was asked for
  std::int32_t index_base = 1;    ///< the number of the first variable in the file
  bool symmetric = false;         ///< a pair stood for both of its directions

  /// Whether larger values are better.
  [[nodiscard]] bool maximises() const noexcept {
    return kind == ProblemKind::maxcut || (kind != ProblemKind::qama && maximise);
  }

  /// Heads x spins as devices see it; generic problems have one head.
  [[nodiscard]] ProblemShape shape() const noexcept {
    if (kind == ProblemKind::qama) return {layer.heads, layer.tokens};
    return {1, graph.size};
  }
};

}  // namespace qama::hal
