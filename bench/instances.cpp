#include "bench/instances.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <numbers>
#include <utility>

#include "hal/base/random.h"
#include "hal/text/formats.h"

namespace qama::bench {
namespace {

/// Normal variates from splitmix64 by Box and Muller: the same instances wherever they are made.
class Normal {
 public:
  /// Mixed, because consecutive seeds would be one stream, each a step further.
  explicit Normal(std::uint64_t seed) : stream_(seed ^ 0x51414D41494E5354ULL) {
    stream_ = SplitMix64(bits() ^ (seed << 32));
    stream_ = SplitMix64(bits());
  }
  double operator()() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2 * std::log(unit()));
    const double angle = 2 * std::numbers::pi * unit();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }
  std::uint64_t bits() { return stream_.next(); }

 private:
  double unit() { return unit_interval(bits()) + 0x1p-54; }
  SplitMix64 stream_;
  double spare_ = 0;
  bool has_spare_ = false;
};

bool in_order(const hal::Edge& a, const hal::Edge& b) {
  return a.first < b.first || (a.first == b.first && a.second < b.second);
}

constexpr double kSharedVariance = 0.2;
constexpr double kAutoregression = 0.3;

/// [N][D] of one head.
std::vector<double> token_vectors(std::int32_t tokens, std::int32_t rank, bool correlated,
                                  Normal& normal) {
  const auto d_count = static_cast<std::size_t>(rank);
  std::vector<double> out(static_cast<std::size_t>(tokens) * d_count);
  for (double& value : out) value = normal();
  if (!correlated) return out;
  const double fresh = std::sqrt(1 - kAutoregression * kAutoregression);
  for (std::size_t k = d_count; k < out.size(); ++k) {
    out[k] = kAutoregression * out[k - d_count] + fresh * out[k];
  }
  std::vector<double> shared(d_count);
  for (double& value : shared) value = normal();
  for (std::size_t k = 0; k < out.size(); ++k) {
    out[k] =
        std::sqrt(kSharedVariance) * shared[k % d_count] + std::sqrt(1 - kSharedVariance) * out[k];
  }
  return out;
}

bool is_correlated(LayerKind kind) {
  return kind == LayerKind::raw || kind == LayerKind::norm;
}
bool is_normalised(LayerKind kind) {
  return kind == LayerKind::norm || kind == LayerKind::norm0;
}

/// Lower triangle L of K^T K / 2D = L L^T, [D][D]. With fewer tokens than dimensions the matrix is
/// singular: what is left of a column is then rounding, and 0 in L.
std::vector<double> gram_root(const double* keys, std::int32_t tokens, std::int32_t rank) {
  const auto n = static_cast<std::size_t>(rank);
  std::vector<double> root(n * n);
  for (std::int32_t i = 0; i < tokens; ++i) {
    const double* row = keys + static_cast<std::size_t>(i) * n;
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = 0; b <= a; ++b) root[a * n + b] += row[a] * row[b] / (2.0 * rank);
    }
  }
  double largest = 0;
  for (std::size_t a = 0; a < n; ++a) largest = std::fmax(largest, root[a * n + a]);
  const double tiny = 1e-12 * largest;
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b <= a; ++b) {
      double sum = root[a * n + b];
      for (std::size_t c = 0; c < b; ++c) sum -= root[a * n + c] * root[b * n + c];
      if (a == b) {
        root[a * n + b] = sum > tiny ? std::sqrt(sum) : 0;
      } else {
        root[a * n + b] = root[b * n + b] > 0 ? sum / root[b * n + b] : 0;
      }
    }
  }
  return root;
}

struct Moments {
  double mean = 0, deviation = 1;
};

/// Mean and deviation of the off-diagonal of F F^T, from F^T 1 and F^T F.
Moments off_diagonal_moments(const std::vector<double>& factors, std::int32_t tokens,
                             std::int32_t rank) {
  const auto n = static_cast<std::size_t>(rank);
  std::vector<double> column(n);
  std::vector<double> gram(n * n);
  double diagonal = 0;
  double diagonal_squares = 0;
  for (std::int32_t i = 0; i < tokens; ++i) {
    const double* row = factors.data() + static_cast<std::size_t>(i) * n;
    double square = 0;
    for (std::size_t a = 0; a < n; ++a) {
      column[a] += row[a];
      square += row[a] * row[a];
      for (std::size_t b = 0; b < n; ++b) gram[a * n + b] += row[a] * row[b];
    }
    diagonal += square;
    diagonal_squares += square * square;
  }
  double sum = -diagonal;
  for (const double value : column) sum += value * value;
  double squares = -diagonal_squares;
  for (const double value : gram) squares += value * value;
  const double pairs = static_cast<double>(tokens) * (tokens - 1);
  Moments out;
  out.mean = sum / pairs;
  out.deviation = std::sqrt(squares / pairs - out.mean * out.mean);
  return out;
}

}  // namespace

const InstanceClass* find_class(std::string_view name) noexcept {
  for (const InstanceClass& entry : kInstanceClasses) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

LayerInputs layer_inputs(const InstanceClass& of, std::uint64_t seed) {
  Normal normal(seed + (static_cast<std::uint64_t>(of.tokens) << 40) +
                (static_cast<std::uint64_t>(of.rank) << 28));
  LayerInputs out;
  out.heads = of.heads;
  out.tokens = of.tokens;
  out.rank = of.rank;
  const auto rank = static_cast<std::size_t>(of.rank);
  std::vector<double> w_eps(rank);
  for (double& value : w_eps) value = normal() / std::sqrt(static_cast<double>(of.rank));
  const auto append = [](std::vector<double>& to, const std::vector<double>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  for (std::int32_t t = 0; t < of.heads; ++t) {
    append(out.queries, token_vectors(of.tokens, of.rank, is_correlated(of.kind), normal));
    append(out.keys, token_vectors(of.tokens, of.rank, is_correlated(of.kind), normal));
    const auto values = token_vectors(of.tokens, of.rank, is_correlated(of.kind), normal);
    for (std::size_t i = 0; i < static_cast<std::size_t>(of.tokens); ++i) {
      double field = 0;
      for (std::size_t d = 0; d < rank; ++d) field += values[i * rank + d] * w_eps[d];
      out.fields.push_back(field);
    }
  }
  return out;
}

hal::QamaLayer instance(const InstanceClass& of, std::uint64_t seed) {
  const LayerInputs inputs = layer_inputs(of, seed);
  hal::QamaLayer out;
  out.name = std::string(of.name) + "_s" + std::to_string(seed);
  out.heads = of.heads;
  out.tokens = of.tokens;
  out.rank = of.rank + (is_normalised(of.kind) ? 1 : 0);
  out.rho = 0.16 * of.tokens;
  out.lambda =
      of.heads > 1 ? 0.8 * of.tokens * std::sqrt(2 / std::numbers::pi) / (of.heads - 1) : 0.0;
  out.fields = inputs.fields;
  const auto rank = static_cast<std::size_t>(of.rank);
  const std::size_t head_size = static_cast<std::size_t>(of.tokens) * rank;
  for (std::int32_t t = 0; t < of.heads; ++t) {
    const double* queries = inputs.queries.data() + static_cast<std::size_t>(t) * head_size;
    const double* keys = inputs.keys.data() + static_cast<std::size_t>(t) * head_size;
    const std::vector<double> root = gram_root(keys, of.tokens, of.rank);
    std::vector<double> factors(head_size);
    for (std::size_t i = 0; i < static_cast<std::size_t>(of.tokens); ++i) {
      for (std::size_t b = 0; b < rank; ++b) {
        double sum = 0;
        for (std::size_t a = b; a < rank; ++a) sum += queries[i * rank + a] * root[a * rank + b];
        factors[i * rank + b] = sum;
      }
    }
    Moments moments;
    if (is_normalised(of.kind)) moments = off_diagonal_moments(factors, of.tokens, of.rank);
    out.signs.insert(out.signs.end(), rank, 1.0);
    if (is_normalised(of.kind)) out.signs.push_back(moments.mean > 0 ? -1.0 : 1.0);
    for (std::size_t i = 0; i < static_cast<std::size_t>(of.tokens); ++i) {
      for (std::size_t d = 0; d < rank; ++d) {
        out.factors.push_back(factors[i * rank + d] / std::sqrt(moments.deviation));
      }
      if (is_normalised(of.kind)) {
        out.factors.push_back(std::sqrt(std::fabs(moments.mean) / moments.deviation));
      }
    }
  }
  return out;
}

hal::ProblemFile complete_graph(std::int32_t size, std::uint64_t seed) {
  Normal random(seed);
  hal::ProblemFile out;
  out.kind = hal::ProblemKind::maxcut;
  out.graph.size = size;
  for (std::int32_t i = 0; i < size; ++i) {
    for (std::int32_t j = i + 1; j < size; ++j) {
      out.graph.edges.push_back({i, j, (random.bits() >> 63) != 0 ? 1.0 : -1.0});
    }
  }
  return out;
}

hal::ProblemFile toroidal_graph(std::int32_t side, std::uint64_t seed) {
  Normal random(seed);
  hal::ProblemFile out;
  out.kind = hal::ProblemKind::maxcut;
  out.graph.size = side * side;
  for (std::int32_t row = 0; row < side; ++row) {
    for (std::int32_t column = 0; column < side; ++column) {
      const std::int32_t here = row * side + column;
      for (const std::int32_t other :
           {row * side + (column + 1) % side, (row + 1) % side * side + column}) {
        out.graph.edges.push_back({std::min(here, other), std::max(here, other),
                                   (random.bits() >> 63) != 0 ? 1.0 : -1.0});
      }
    }
  }
  std::sort(out.graph.edges.begin(), out.graph.edges.end(), in_order);
  return out;
}

hal::ProblemFile random_graph(std::int32_t size, std::int32_t degree, std::vector<double> weights,
                              std::uint64_t seed) {
  Normal random(seed);
  const auto drawn = [&](std::size_t end) { return below(random.bits(), end); };
  const auto count = static_cast<std::size_t>(size) * static_cast<std::size_t>(degree) / 2;
  hal::ProblemFile out;
  out.kind = hal::ProblemKind::maxcut;
  out.graph.size = size;
  auto& edges = out.graph.edges;
  while (edges.size() < count) {
    while (edges.size() < count) {
      const auto i = static_cast<std::int32_t>(drawn(static_cast<std::size_t>(size)));
      const auto j = static_cast<std::int32_t>(drawn(static_cast<std::size_t>(size)));
      if (i != j) edges.push_back({std::min(i, j), std::max(i, j), weights[drawn(weights.size())]});
    }
    std::stable_sort(edges.begin(), edges.end(), in_order);
    edges.erase(std::unique(edges.begin(), edges.end(),
                            [](const hal::Edge& a, const hal::Edge& b) {
                              return !in_order(a, b) && !in_order(b, a);
                            }),
                edges.end());
  }
  return out;
}

Result<hal::ProblemFile> read_problem_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return Error{ErrorCode::io_error, "file '" + path + "' cannot be read"};
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  return hal::parse_problem(text, path);
}

}  // namespace qama::bench
