#include "hal/lower/graph.h"

#include <algorithm>
#include <cmath>

namespace qama::hal {
namespace {

/// A sparse problem as the couplings W and fields b of DenseView, still real.
struct SparseIsing {
  std::vector<Edge> couplings;  ///< first < second
  std::vector<double> fields;
  std::int32_t fixed = -1;

  /// Adds a coupling; those of one pair follow each other.
  void add(std::int32_t i, std::int32_t j, double weight) {
    if (!couplings.empty() && couplings.back().first == i && couplings.back().second == j) {
      couplings.back().weight += weight;
    } else {
      couplings.push_back({i, j, weight});
    }
  }
};

/// The vertex with the largest sum of |w|: fixing it frees the most room in 16 bits.
std::int32_t heaviest_vertex(const EdgeList& graph) {
  std::vector<double> sums(static_cast<std::size_t>(graph.size), 0.0);
  for (const Edge& edge : graph.edges) {
    sums[static_cast<std::size_t>(edge.first)] += std::fabs(edge.weight);
    sums[static_cast<std::size_t>(edge.second)] += std::fabs(edge.weight);
  }
  return static_cast<std::int32_t>(std::max_element(sums.begin(), sums.end()) - sums.begin());
}

/// A complete graph of two weights that fits 16 bits as it is. To fix a vertex would bring in
/// couplings of 0, a third value, and with it a second bit plane (hal/cpu/planes/planes.h).
bool stays_two_valued(const EdgeList& graph) {
  const auto size = static_cast<std::size_t>(graph.size);
  if (size < 3 || graph.edges.size() != size * (size - 1) / 2) return false;
  const double first = graph.edges.front().weight;
  double other = first;
  double largest = 0;
  for (const Edge& edge : graph.edges) {
    if (edge.weight != first && other == first) other = edge.weight;
    if (edge.weight != first && edge.weight != other) return false;
    largest = std::max(largest, std::fabs(edge.weight));
  }
  // A row's couplings are 2 w, its field is the sum of w.
  return 3 * largest * static_cast<double>(size - 1) <= INT16_MAX;
}

SparseIsing to_ising(const ProblemFile& file) {
  SparseIsing out;
  out.fields.assign(static_cast<std::size_t>(file.graph.size), 0.0);
  const auto field = [&](std::int32_t i) -> double& {
    return out.fields[static_cast<std::size_t>(i)];
  };
  if (file.kind == ProblemKind::maxcut) {
    // w [s_i != s_j] = w (s_i + s_j - 2 s_i s_j), and with s_fixed = 0 only w s_i is left.
    out.fixed = stays_two_valued(file.graph) ? -1 : heaviest_vertex(file.graph);
    for (const Edge& edge : file.graph.edges) {
      field(edge.first) += edge.weight;
      field(edge.second) += edge.weight;
      if (edge.first != out.fixed && edge.second != out.fixed)
        out.add(edge.first, edge.second, -2 * edge.weight);
    }
    if (out.fixed >= 0) field(out.fixed) = 0;
    return out;
  }
  // Devices hold what a spin gains.
  const double sign = file.maximises() ? 1 : -1;
  for (const Edge& edge : file.graph.edges) {
    const double gain = sign * edge.weight;
    const bool linear = edge.first == edge.second;
    if (file.kind == ProblemKind::qubo) {
      if (linear) {
        field(edge.first) += gain;
      } else {
        out.add(edge.first, edge.second, gain);
      }
    } else if (linear) {  // h (2 x - 1)
      field(edge.first) += 2 * gain;
    } else {  // J (2 x_i - 1) (2 x_j - 1)
      field(edge.first) -= 2 * gain;
      field(edge.second) -= 2 * gain;
      out.add(edge.first, edge.second, 4 * gain);
    }
  }
  return out;
}

}  // namespace

Result<RoundedIsing> round_ising(const ProblemFile& file) {
  const SparseIsing ising = to_ising(file);
  RoundedIsing out;
  out.fixed = ising.fixed;
  const auto size = static_cast<std::size_t>(file.graph.size);
  std::vector<double> sums(size);
  std::vector<std::int32_t> terms(size, 1);
  bool whole = true;
  const auto look_at = [&](std::int32_t i, double value) {
    sums[static_cast<std::size_t>(i)] += std::fabs(value);
    ++terms[static_cast<std::size_t>(i)];
    whole = whole && value == std::nearbyint(value);
  };
  for (std::size_t i = 0; i < size; ++i) look_at(static_cast<std::int32_t>(i), ising.fields[i]);
  for (const Edge& edge : ising.couplings) {
    look_at(edge.first, edge.weight);
    look_at(edge.second, edge.weight);
  }
  const double largest = *std::max_element(sums.begin(), sums.end());
  if (!std::isfinite(largest)) {
    return Error{ErrorCode::problem_bad_value, "the weights of a variable sum up to infinity"};
  }
  out.exact = whole && largest <= INT16_MAX;
  // Rounding may add a half for each of a row's terms. Where that would leave no room, numbers are
  // cut off instead.
  const std::int32_t most_terms = *std::max_element(terms.begin(), terms.end());
  const bool cut_off = most_terms > kMaxDenseTokens;
  if (!out.exact && largest > 0) {
    out.scale = (INT16_MAX - 1 - (cut_off ? 0 : 0.5 * most_terms)) / largest;
    // Of the smallest numbers the reciprocal overflows.
    out.scale = std::min(out.scale, 1e300);
  }
  const auto rounded = [&](double value) {
    const double scaled = value * out.scale;
    return static_cast<std::int16_t>(cut_off ? std::trunc(scaled) : std::nearbyint(scaled));
  };
  out.fields.reserve(size);
  for (const double field : ising.fields) out.fields.push_back(rounded(field));
  out.couplings.reserve(ising.couplings.size());
  std::int64_t squares = 0;
  for (const Edge& edge : ising.couplings) {
    const std::int16_t value = rounded(edge.weight);
    out.couplings.push_back({edge.first, edge.second, value});
    squares += static_cast<std::int64_t>(value) * value;
  }
  // The unit of temperature, which a solver would have to read all couplings for; each pair stands
  // in two rows.
  if (squares > 0)
    out.row_norm = std::sqrt(2.0 * static_cast<double>(squares) / static_cast<double>(size));
  return out;
}

}  // namespace qama::hal
