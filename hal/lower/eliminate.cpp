#include "hal/lower/eliminate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "hal/base/mantissa.h"
#include "hal/base/random.h"

namespace qama::hal {
namespace {

/// Sums that must not round.
class Exact {
 public:
  double add(double a, double b) {
    const double sum = a + b;
    const double of_b = sum - a;
    const double rest = (a - (sum - of_b)) + (b - of_b);
    ok_ = ok_ && rest == 0;  // false also for what is not finite
    return sum;
  }
  double half(double a) {
    ok_ = ok_ && 2 * (a / 2) == a;
    return a / 2;
  }
  [[nodiscard]] bool ok() const noexcept { return ok_; }

 private:
  bool ok_ = true;
};

/// A graph whose edges are found by their ends, come and go.
class Couplings {
 public:
  struct Edge {
    std::int32_t first = 0, second = 0;  ///< first < second
    double weight = 0;                   ///< 0: it is not there
  };

  Couplings(std::size_t size, std::size_t edges) : of_(size), degree_(size) {
    edges_.reserve(edges);
    grow(edges);
  }

  [[nodiscard]] std::int32_t degree(std::int32_t v) const { return degree_[at(v)]; }
  [[nodiscard]] const std::vector<Edge>& edges() const { return edges_; }
  [[nodiscard]] double weight(std::int32_t u, std::int32_t v) const {
    const std::int32_t edge = slots_[slot(u, v)];
    return edge < 0 ? 0 : edges_[at(edge)].weight;
  }
  void set(std::int32_t u, std::int32_t v, double weight) {
    std::int32_t edge = slots_[slot(u, v)];
    if (edge < 0) {
      if (weight == 0) return;
      if (2 * (edges_.size() + 1) > slots_.size()) grow(2 * edges_.size());
      edge = static_cast<std::int32_t>(edges_.size());
      edges_.push_back({std::min(u, v), std::max(u, v), 0});
      slots_[slot(u, v)] = edge;
      of_[at(u)].push_back(edge);
      of_[at(v)].push_back(edge);
    }
    double& old = edges_[at(edge)].weight;
    const int more = static_cast<int>(weight != 0) - static_cast<int>(old != 0);
    degree_[at(u)] += more;
    degree_[at(v)] += more;
    old = weight;
  }
  /// Calls visit(neighbour, weight); the order is that in which the edges came.
  template <typename Visit>
  void for_each(std::int32_t v, Visit&& visit) const {
    for (const std::int32_t edge : of_[at(v)]) {
      const Edge& one = edges_[at(edge)];
      if (one.weight != 0) visit(one.first == v ? one.second : one.first, one.weight);
    }
  }

 private:
  static std::size_t at(std::int32_t k) { return static_cast<std::size_t>(k); }
  /// Where the edge is, or where it would be: open addressing.
  [[nodiscard]] std::size_t slot(std::int32_t u, std::int32_t v) const {
    const auto [low, high] = std::minmax(u, v);
    auto k = static_cast<std::size_t>(
        mix64(static_cast<std::uint64_t>(low) << 32 | static_cast<std::uint64_t>(high)));
    for (k &= slots_.size() - 1; slots_[k] >= 0; k = (k + 1) & (slots_.size() - 1)) {
      const Edge& one = edges_[at(slots_[k])];
      if (one.first == low && one.second == high) break;
    }
    return k;
  }
  void grow(std::size_t edges) {
    std::size_t size = 16;
    while (size < 2 * (edges + 1)) size *= 2;
    slots_.assign(size, -1);
    for (std::size_t k = 0; k < edges_.size(); ++k)
      slots_[slot(edges_[k].first, edges_[k].second)] = static_cast<std::int32_t>(k);
  }

  std::vector<Edge> edges_;
  std::vector<std::int32_t> slots_;            ///< edges by their ends; -1: free
  std::vector<std::vector<std::int32_t>> of_;  ///< a vertex's edges, also those that went
  std::vector<std::int32_t> degree_;
};

/// Whether a variable has few enough neighbours for a start, counted in one pass. False where a
/// pair has several weights, whose sum is no double.
bool is_worth_it(const ProblemFile& file) {
  const bool fields = file.kind != ProblemKind::maxcut;
  // A linear term of a quadratic form may cancel its couplings' fields; taken not to.
  std::vector<std::int32_t> degree(static_cast<std::size_t>(file.graph.size));
  const Edge* last = nullptr;
  for (const Edge& edge : file.graph.edges) {
    if (last != nullptr && last->first == edge.first && last->second == edge.second) return false;
    last = &edge;
    if (edge.weight == 0) continue;
    ++degree[static_cast<std::size_t>(edge.first)];
    if (edge.first != edge.second) ++degree[static_cast<std::size_t>(edge.second)];
  }
  const auto most = static_cast<std::int32_t>(Elimination::kNeighbours) + (fields ? 1 : 0);
  return std::any_of(degree.begin(), degree.end(), [&](std::int32_t d) { return d <= most; });
}

/// The problem as couplings of spins +1 and -1, up to a positive factor; fields are couplings with
/// vertex `graph.size`. False if a double would have to be rounded.
bool to_spins(const ProblemFile& file, Couplings& out) {
  const std::int32_t fields = file.graph.size;
  const double sign = file.maximises() && file.kind != ProblemKind::maxcut ? -1 : 1;
  Exact exact;
  std::vector<double> field(static_cast<std::size_t>(file.graph.size));
  const auto add_field = [&](std::int32_t i, double value) {
    double& sum = field[static_cast<std::size_t>(i)];
    sum = exact.add(sum, value);
  };
  for (const Edge& edge : file.graph.edges) {
    const double weight = sign * edge.weight;
    const bool linear = edge.first == edge.second;
    if (!linear) out.set(edge.first, edge.second, weight);
    if (file.kind == ProblemKind::ising && linear) add_field(edge.first, weight);
    if (file.kind == ProblemKind::qubo) {  // four times w x_i x_j, x = (1 + s) / 2
      add_field(edge.first, weight);
      add_field(edge.second, weight);
    }
  }
  for (std::int32_t i = 0; i < fields; ++i) out.set(i, fields, field[static_cast<std::size_t>(i)]);
  return exact.ok();
}

/// Makes whole numbers of the weights, if a power of two does.
void scale(std::vector<Edge>& edges) {
  int least = 1 << 20;
  int most = -(1 << 20);
  for (const Edge& edge : edges) {
    least = std::min(least, split(edge.weight).exponent);
    most = std::max(most, std::ilogb(edge.weight) + 1);
  }
  if (most - least > 1000) return;
  for (Edge& edge : edges) edge.weight = std::ldexp(edge.weight, -least);
}

}  // namespace

std::optional<Elimination> Elimination::of(const ProblemFile& file) {
  if (file.kind == ProblemKind::qama || !is_worth_it(file)) return std::nullopt;
  const std::int32_t fields = file.graph.size;
  const std::size_t vertices = static_cast<std::size_t>(fields) + 1;
  Couplings graph(vertices, file.graph.edges.size() + vertices);
  if (!to_spins(file, graph)) return std::nullopt;
  Elimination out;
  out.size_ = file.graph.size;
  std::vector<char> gone(vertices, 0);
  // By degree: those of few neighbours go first.
  std::array<std::vector<std::int32_t>, kNeighbours + 1> waiting;
  const auto wait = [&](std::int32_t v) {
    const auto degree = static_cast<std::size_t>(graph.degree(v));
    if (v != fields && degree <= kNeighbours) waiting[degree].push_back(v);
  };
  for (std::int32_t v = fields - 1; v >= 0; --v) wait(v);
  for (;;) {
    const auto queue = std::find_if(waiting.begin(), waiting.end(),
                                    [](const auto& some) { return !some.empty(); });
    if (queue == waiting.end()) break;
    Step step;
    step.variable = queue->back();
    queue->pop_back();
    const std::int32_t v = step.variable;
    if (gone[static_cast<std::size_t>(v)] != 0 || graph.degree(v) != queue - waiting.begin())
      continue;
    graph.for_each(v, [&](std::int32_t other, double weight) {
      const auto k = static_cast<std::size_t>(step.count++);
      step.others[k] = other;
      step.couplings[k] = weight;
    });
    // A_12 = (max(|J_1 - J_2|, |J_3|) - max(|J_1 + J_2|, |J_3|)) / 2, with J_3 = 0 for two.
    Exact exact;
    std::array<double, kNeighbours> sums{};  // of the pair that leaves k out
    const auto pair = [&](std::size_t k) {
      return std::pair{(k + 1) % kNeighbours, (k + 2) % kNeighbours};
    };
    const auto count = static_cast<std::size_t>(step.count);
    for (std::size_t k = 0; k < kNeighbours; ++k) {
      const auto [i, j] = pair(k);
      if (i >= count || j >= count) continue;
      const double third = std::fabs(step.couplings[k]);
      const double unlike = std::fabs(exact.add(step.couplings[i], -step.couplings[j]));
      const double alike = std::fabs(exact.add(step.couplings[i], step.couplings[j]));
      const double gain = exact.half(exact.add(std::max(unlike, third), -std::max(alike, third)));
      sums[k] = exact.add(graph.weight(step.others[i], step.others[j]), gain);
    }
    if (!exact.ok()) continue;
    for (std::size_t k = 0; k < count; ++k) graph.set(v, step.others[k], 0);
    for (std::size_t k = 0; k < kNeighbours; ++k) {
      const auto [i, j] = pair(k);
      if (i < count && j < count) graph.set(step.others[i], step.others[j], sums[k]);
    }
    gone[static_cast<std::size_t>(v)] = 1;
    for (std::size_t k = 0; k < count; ++k) wait(step.others[k]);
    out.steps_.push_back(step);
  }
  if (out.steps_.empty()) return std::nullopt;

  out.kernel_.kind = ProblemKind::maxcut;
  std::vector<std::int32_t> number(vertices, -1);
  for (std::int32_t v = 0; v <= fields; ++v) {
    if (gone[static_cast<std::size_t>(v)] != 0 || graph.degree(v) == 0) continue;
    number[static_cast<std::size_t>(v)] = static_cast<std::int32_t>(out.vertices_.size());
    out.vertices_.push_back(v);
  }
  out.kernel_.graph.size = static_cast<std::int32_t>(out.vertices_.size());
  std::vector<Edge>& edges = out.kernel_.graph.edges;
  for (const Couplings::Edge& edge : graph.edges()) {
    if (edge.weight == 0) continue;
    edges.push_back({number[static_cast<std::size_t>(edge.first)],
                     number[static_cast<std::size_t>(edge.second)], edge.weight});
  }
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
    return std::pair(a.first, a.second) < std::pair(b.first, b.second);
  });
  scale(edges);
  return out;
}

std::vector<std::uint64_t> Elimination::lift(std::span<const std::uint64_t> spins) const {
  std::vector<std::int8_t> sides(static_cast<std::size_t>(size_) + 1, 1);  // +1 or -1
  for (std::size_t k = 0; k < vertices_.size(); ++k) {
    const bool set = ((spins[k / 64] >> (k % 64)) & 1U) != 0;
    sides[static_cast<std::size_t>(vertices_[k])] = set ? 1 : -1;
  }
  // The spin of the fields is +1; a max-cut's sides may be swapped.
  const std::int8_t fields = sides.back();
  for (const std::int32_t v : vertices_) sides[static_cast<std::size_t>(v)] *= fields;
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    double sum = 0;
    for (std::size_t k = 0; k < static_cast<std::size_t>(step->count); ++k)
      sum += step->couplings[k] * sides[static_cast<std::size_t>(step->others[k])];
    sides[static_cast<std::size_t>(step->variable)] = sum < 0 ? 1 : -1;
  }
  std::vector<std::uint64_t> out(static_cast<std::size_t>(words_per_head(size_)));
  for (std::size_t i = 0; i < static_cast<std::size_t>(size_); ++i)
    out[i / 64] |= static_cast<std::uint64_t>(sides[i] > 0) << (i % 64);
  return out;
}

}  // namespace qama::hal
