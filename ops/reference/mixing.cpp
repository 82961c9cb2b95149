#include "ops/reference/mixing.h"

#include <algorithm>
#include <cmath>

#include "ops/attention/performer.h"

namespace qama::ops {
namespace {

/// Row r of a part of a head (0 queries, 1 keys or shared values, 2 values), in double.
std::vector<double> row_of(const MixingShape& shape, const float* qkv, std::int64_t parts,
                           std::int64_t part, std::int64_t head, std::int64_t r) {
  const float* from = qkv + (r * parts + part) * shape.inner() + head * shape.dim_head;
  return {from, from + shape.dim_head};
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
  return sum;
}

/// Adds the softmax mean of `values` to `out` and returns the log of the sum of exponentials.
double softmax_mean(const std::vector<double>& scores,
                    const std::vector<std::vector<double>>& values, double* out) {
  const double top = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (const double score : scores) total += std::exp(score - top);
  for (std::size_t j = 0; j < scores.size(); ++j) {
    for (std::size_t d = 0; d < values[j].size(); ++d) {
      out[d] += std::exp(scores[j] - top) / total * values[j][d];
    }
  }
  return top + std::log(total);
}

}  // namespace

std::vector<double> reference_sparse(const MixingShape& shape, std::int64_t tokens,
                                     const float* qkv,
                                     const std::function<bool(std::int64_t, std::int64_t)>& sees) {
  std::vector<double> out(static_cast<std::size_t>(tokens * shape.inner()));
  const double scale = 1.0 / std::sqrt(static_cast<double>(shape.dim_head));
  for (std::int64_t t = 0; t < shape.heads; ++t) {
    for (std::int64_t i = 0; i < tokens; ++i) {
      std::vector<double> scores;
      std::vector<std::vector<double>> values;
      for (std::int64_t j = 0; j < tokens; ++j) {
        if (!sees(i, j)) continue;
        scores.push_back(scale *
                         dot(row_of(shape, qkv, 3, 0, t, i), row_of(shape, qkv, 3, 1, t, j)));
        values.push_back(row_of(shape, qkv, 3, 2, t, j));
      }
      softmax_mean(scores, values, out.data() + i * shape.inner() + t * shape.dim_head);
    }
  }
  return out;
}

std::vector<double> reference_linformer(const MixingShape& shape, std::int64_t tokens,
                                        const float* qkv, std::int64_t rank,
                                        std::span<const float> proj_k,
                                        std::span<const float> proj_v) {
  std::vector<double> out(static_cast<std::size_t>(tokens * shape.inner()));
  const auto width = static_cast<std::size_t>(shape.dim_head);
  const double scale = 1.0 / std::sqrt(static_cast<double>(shape.dim_head));
  for (std::int64_t t = 0; t < shape.heads; ++t) {
    std::vector<std::vector<double>> keys(static_cast<std::size_t>(rank),
                                          std::vector<double>(width));
    auto values = keys;
    for (std::int64_t r = 0; r < rank; ++r) {
      for (std::int64_t j = 0; j < tokens; ++j) {
        const auto k = row_of(shape, qkv, 3, 1, t, j);
        const auto v = row_of(shape, qkv, 3, 2, t, j);
        const auto at = static_cast<std::size_t>(r * shape.tokens + j);
        for (std::size_t d = 0; d < width; ++d) {
          keys[static_cast<std::size_t>(r)][d] += static_cast<double>(proj_k[at]) * k[d];
          values[static_cast<std::size_t>(r)][d] += static_cast<double>(proj_v[at]) * v[d];
        }
      }
    }
    for (std::int64_t i = 0; i < tokens; ++i) {
      std::vector<double> scores;
      for (const auto& key : keys)
        scores.push_back(scale * dot(row_of(shape, qkv, 3, 0, t, i), key));
      softmax_mean(scores, values, out.data() + i * shape.inner() + t * shape.dim_head);
    }
  }
  return out;
}

std::vector<double> reference_performer(const MixingShape& shape, std::int64_t tokens,
                                        const float* qkv, std::int64_t count,
                                        std::span<const float> features) {
  std::vector<double> out(static_cast<std::size_t>(tokens * shape.inner()));
  const double scale = std::pow(static_cast<double>(shape.dim_head), -0.25);
  const auto project = [&](std::vector<double> x) {
    for (double& value : x) value *= scale;
    std::vector<double> w;
    for (std::int64_t m = 0; m < count; ++m) {
      const auto row = features.subspan(static_cast<std::size_t>(m * shape.dim_head), x.size());
      w.push_back(dot(x, {row.begin(), row.end()}));
    }
    return std::pair{w, dot(x, x) / 2};
  };
  for (std::int64_t t = 0; t < shape.heads; ++t) {
    double largest = -1e300;
    for (std::int64_t j = 0; j < tokens; ++j) {
      const auto w = project(row_of(shape, qkv, 3, 1, t, j)).first;
      largest = std::max(largest, *std::max_element(w.begin(), w.end()));
    }
    for (std::int64_t i = 0; i < tokens; ++i) {
      auto [query, q_norm] = project(row_of(shape, qkv, 3, 0, t, i));
      const double own = *std::max_element(query.begin(), query.end());
      for (double& w : query) w = std::exp(w - q_norm - own) + 1e-4;
      double total = 0;
      double* to = out.data() + i * shape.inner() + t * shape.dim_head;
      for (std::int64_t j = 0; j < tokens; ++j) {
        auto [key, k_norm] = project(row_of(shape, qkv, 3, 1, t, j));
        for (double& w : key) w = std::exp(w - k_norm - largest) + 1e-4;
        const double weight = dot(query, key);
        const auto value = row_of(shape, qkv, 3, 2, t, j);
        for (std::size_t d = 0; d < value.size(); ++d) to[d] += weight * value[d];
        total += weight;
      }
      for (std::int64_t d = 0; d < shape.dim_head; ++d) to[d] /= total;
    }
  }
  return out;
}

std::vector<double> reference_reformer(const MixingShape& shape, std::int64_t tokens,
                                       const float* qkv, const ReformerSpec& spec) {
  std::vector<double> out(static_cast<std::size_t>(tokens * shape.inner()));
  const double scale = 1.0 / std::sqrt(static_cast<double>(shape.dim_head));
  const std::int64_t half = spec.buckets / 2;
  for (std::int64_t t = 0; t < shape.heads; ++t) {
    // How often token i meets token j: a round's weight is its softmax sum, so the mean over rounds
    // is one softmax in which pairs count that often.
    std::vector<std::vector<double>> meets(static_cast<std::size_t>(tokens),
                                           std::vector<double>(static_cast<std::size_t>(tokens)));
    for (std::int64_t round = 0; round < spec.hashes; ++round) {
      std::vector<std::pair<std::int64_t, std::int64_t>> sorted;
      for (std::int64_t i = 0; i < tokens; ++i) {
        const auto x = row_of(shape, qkv, 2, 0, t, i);
        std::vector<double> turned(static_cast<std::size_t>(spec.buckets));
        for (std::int64_t b = 0; b < half; ++b) {
          for (std::int64_t d = 0; d < shape.dim_head; ++d) {
            const auto at = static_cast<std::size_t>((round * shape.dim_head + d) * half + b);
            turned[static_cast<std::size_t>(b)] +=
                x[static_cast<std::size_t>(d)] * spec.rotations[at];
          }
          turned[static_cast<std::size_t>(half + b)] = -turned[static_cast<std::size_t>(b)];
        }
        sorted.emplace_back(std::max_element(turned.begin(), turned.end()) - turned.begin(), i);
      }
      std::sort(sorted.begin(), sorted.end());
      const std::int64_t chunks = (tokens + spec.chunk - 1) / spec.chunk;
      for (std::int64_t a = 0; a < tokens; ++a) {
        for (std::int64_t b = 0; b < tokens; ++b) {
          const std::int64_t chunk = a / spec.chunk;
          const std::int64_t before = chunk == 0 ? chunks - 1 : chunk - 1;
          const bool seen = b / spec.chunk == chunk || b / spec.chunk == before;
          if (!seen || (a == b && tokens > 1)) continue;
          meets[static_cast<std::size_t>(sorted[static_cast<std::size_t>(a)].second)]
               [static_cast<std::size_t>(sorted[static_cast<std::size_t>(b)].second)] += 1;
        }
      }
    }
    for (std::int64_t i = 0; i < tokens; ++i) {
      const auto query = row_of(shape, qkv, 2, 0, t, i);
      std::vector<double> scores;
      std::vector<std::vector<double>> values;
      for (std::int64_t j = 0; j < tokens; ++j) {
        const double times = meets[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)];
        if (times == 0) continue;
        const auto key = row_of(shape, qkv, 2, 0, t, j);
        const double length = std::max(std::sqrt(dot(key, key)), 1e-6);
        scores.push_back(scale * dot(query, key) / length + std::log(times));
        values.push_back(row_of(shape, qkv, 2, 1, t, j));
      }
      softmax_mean(scores, values, out.data() + i * shape.inner() + t * shape.dim_head);
    }
  }
  return out;
}

}  // namespace qama::ops
