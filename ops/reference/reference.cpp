#include "ops/reference/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "hal/base/half.h"
#include "ops/simd/factors_front.h"
#include "ops/simd/half_linear.h"
#include "ops/simd/int8_linear.h"

namespace qama::ops {
namespace {

double sqr(double x) {
  return x * x;
}

void layer_norm(const LayerNormArgs& a) {
  for (std::int64_t r = 0; r < a.rows; ++r) {
    float* x = a.x + r * a.dim;
    if (a.residual != nullptr) {
      for (std::int64_t c = 0; c < a.dim; ++c) x[c] += a.residual[r * a.dim + c];
    }
    double mean = 0;
    double variance = 0;
    for (std::int64_t c = 0; c < a.dim; ++c) mean += x[c] / static_cast<double>(a.dim);
    for (std::int64_t c = 0; c < a.dim; ++c)
      variance += sqr(x[c] - mean) / static_cast<double>(a.dim);
    for (std::int64_t c = 0; c < a.dim; ++c) {
      double y = (x[c] - mean) / std::sqrt(variance + a.eps) * a.gamma[c] + a.beta[c];
      if (a.addend != nullptr) y += a.addend[r * a.dim + c];
      a.y[r * a.dim + c] = static_cast<float>(y);
    }
  }
}

void mean_rows(const MeanRowsArgs& a) {
  for (std::int64_t c = 0; c < a.dim; ++c) {
    double sum = 0;
    for (std::int64_t r = 0; r < a.rows; ++r) sum += a.x[r * a.dim + c];
    a.y[c] = static_cast<float>(sum / static_cast<double>(a.rows));
  }
}

void softmax_head(const SoftmaxHeadArgs& a) {
  std::vector<double> p(static_cast<std::size_t>(a.tokens));
  for (std::int64_t i = 0; i < a.tokens; ++i) {
    for (std::int64_t j = 0; j < a.tokens; ++j) {
      double dot = 0;
      for (std::int64_t d = 0; d < a.dim_head; ++d) {
        dot += static_cast<double>(a.q[i * a.stride + d]) * a.k[j * a.stride + d];
      }
      p[static_cast<std::size_t>(j)] = dot * a.scale;
    }
    const double largest = *std::max_element(p.begin(), p.end());
    double total = 0;
    for (double& v : p) total += v = std::exp(v - largest);
    for (std::int64_t d = 0; d < a.dim_head; ++d) {
      double sum = 0;
      for (std::int64_t j = 0; j < a.tokens; ++j) {
        sum += p[static_cast<std::size_t>(j)] / total * a.v[j * a.stride + d];
      }
      a.out[i * a.out_stride + d] = static_cast<float>(sum);
    }
  }
}

void qama_factors(const QamaFactorArgs& a) {
  const auto d_count = static_cast<std::size_t>(a.dim_head);
  const std::int64_t stride = token_stride(a.tokens);
  std::vector<double> l(d_count * d_count);  // C = K^T K / (2D), then its Cholesky factor
  for (std::size_t r = 0; r < d_count; ++r) {
    for (std::size_t c = 0; c <= r; ++c) {
      for (std::int64_t i = 0; i < a.tokens; ++i) {
        const float* k = a.k + i * a.stride;
        l[r * d_count + c] +=
            static_cast<double>(k[r]) * k[c] / (2.0 * static_cast<double>(d_count));
      }
    }
  }
  double largest = 0;
  for (std::size_t d = 0; d < d_count; ++d) largest = std::max(largest, l[d * d_count + d]);
  for (std::size_t c = 0; c < d_count; ++c) {
    for (std::size_t r = c; r < d_count; ++r) {
      for (std::size_t e = 0; e < c; ++e)
        l[r * d_count + c] -= l[r * d_count + e] * l[c * d_count + e];
    }
    const double pivot = l[c * d_count + c];
    const bool dependent = pivot <= largest * static_cast<double>(d_count) * 4.5e-16;
    for (std::size_t r = c; r < d_count; ++r) {
      l[r * d_count + c] = dependent ? 0.0 : l[r * d_count + c] / std::sqrt(pivot);
    }
  }
  for (std::size_t d = 0; d < d_count; ++d) {
    for (std::int64_t i = 0; i < stride; ++i) {
      double sum = 0;
      for (std::size_t e = d; e < d_count && i < a.tokens; ++e) {
        sum += static_cast<double>(a.q[i * a.stride + static_cast<std::int64_t>(e)]) *
               l[e * d_count + d];
      }
      a.factors[static_cast<std::int64_t>(d) * stride + i] = static_cast<float>(sum);
    }
  }
}

/// The same factors as rows, and the sums over J itself.
void factors_front(LongFactorArgs& a) {
  const std::int64_t width = long_factor_width(a.dim_head);
  const std::int64_t stride = token_stride(a.tokens);
  std::vector<float> columns(static_cast<std::size_t>(a.dim_head * stride));
  qama_factors({.tokens = a.tokens,
                .dim_head = a.dim_head,
                .q = a.q,
                .k = a.k,
                .stride = a.stride,
                .factors = columns.data(),
                .scratch = nullptr});
  for (std::int64_t i = 0; i < a.tokens; ++i) {
    for (std::int64_t d = 0; d < width; ++d) {
      a.factors[i * width + d] =
          d < a.dim_head ? columns[static_cast<std::size_t>(d * stride + i)] : 0.0F;
    }
  }
  a.sum = a.sum_squares = 0;
  for (std::int64_t i = 0; i < a.tokens && a.statistics; ++i) {
    for (std::int64_t j = 0; j < a.tokens; ++j) {
      if (i == j) continue;
      double sum = 0;
      for (std::int64_t d = 0; d < width; ++d) {
        sum += static_cast<double>(a.factors[i * width + d]) *
               static_cast<double>(a.factors[j * width + d]);
      }
      a.sum += sum;
      a.sum_squares += sum * sum;
    }
  }
}

void qama_couplings(const QamaCouplingArgs& a) {
  const std::int64_t stride = token_stride(a.tokens);
  std::fill(a.sums, a.sums + stride, 0.0F);
  for (std::int64_t i = 0; i < a.tokens; ++i) {
    for (std::int64_t j = 0; j < stride; ++j) {
      double value = 0;
      if (i != j && j < a.tokens) {
        for (std::int64_t d = 0; d < a.dim_head; ++d) {
          value += static_cast<double>(a.factors[d * stride + i]) * a.factors[d * stride + j];
        }
        value = a.scale * value + a.shift;
      }
      a.couplings[i * stride + j] = static_cast<float>(value);
      a.sums[j] += std::fabs(static_cast<float>(value));
    }
  }
}

void qama_moments(QamaMomentArgs& a) {
  const std::int64_t stride = token_stride(a.tokens);
  a.sum = a.sum_squares = 0;
  for (std::int64_t i = 0; i < a.tokens; ++i) {
    for (std::int64_t j = 0; j < a.tokens; ++j) {
      double value = 0;
      for (std::int64_t d = 0; d < a.dim_head && i != j; ++d) {
        value += static_cast<double>(a.factors[d * stride + i]) *
                 static_cast<double>(a.factors[d * stride + j]);
      }
      a.sum += value;
      a.sum_squares += value * value;
    }
  }
}

void qama_quantise(const QamaQuantiseArgs& a) {
  for (std::int64_t j = 0; j < a.count; ++j) {
    a.out[j] = static_cast<std::int16_t>(std::lrint(a.couplings[j] * a.scale));
  }
}

void qama_energies(const QamaEnergyArgs& a) {
  const std::int64_t stride = token_stride(a.tokens);
  const auto selected = [&](std::int64_t i) { return (a.spins[i / 64] >> (i % 64) & 1U) != 0; };
  for (std::int64_t i = 0; i < stride; ++i) {
    double local = a.fields[i];
    for (std::int64_t j = 0; j < a.tokens && i < a.tokens; ++j) {
      if (j == i || !selected(j)) continue;
      double coupling = a.shift;
      for (std::int64_t d = 0; d < a.dim_head; ++d) {
        coupling += a.scale * a.factors[d * stride + i] * a.factors[d * stride + j];
      }
      local += coupling;
    }
    a.energies[i] = i < a.tokens && selected(i) ? -local : 0.0;
  }
}

void factors_energies(const LongEnergyArgs& a) {
  const std::int64_t width = long_factor_width(a.dim_head);
  const auto selected = [&](std::int64_t i) { return (a.spins[i / 64] >> (i % 64) & 1U) != 0; };
  for (std::int64_t i = 0; i < token_stride(a.tokens); ++i) {
    a.energies[i] = 0;
    if (i >= a.tokens || !selected(i)) continue;
    double local = a.fields[i];
    for (std::int64_t j = 0; j < a.tokens; ++j) {
      if (j == i || !selected(j)) continue;
      double coupling = a.shift;
      for (std::int64_t d = 0; d < a.dim_head; ++d) {
        coupling += a.scale * static_cast<double>(a.factors[i * width + d]) *
                    static_cast<double>(a.factors[j * width + d]);
      }
      local += coupling;
    }
    a.energies[i] = -local;
  }
}

void qama_project(const QamaProjectArgs& a) {
  for (std::int64_t i = 0; i < a.tokens; ++i) {
    for (std::int64_t c = 0; c < a.dim; ++c) {
      double sum = a.bias[c];
      for (std::int64_t t = 0; t < a.heads; ++t) {
        sum += a.energies[t * token_stride(a.tokens) + i] * a.table[t * a.dim + c];
      }
      a.out[i * a.dim + c] = static_cast<float>(sum);
    }
  }
}

bool sees(const KeyRange& range, std::int64_t i, std::int64_t j) {
  if (range.band == kOtherKeys) return i != j;
  return range.band == kEveryKey || std::abs(i - j) <= range.band;
}

void attend(const AttendArgs& a) {
  for (std::int64_t i = 0; i < a.queries; ++i) {
    std::vector<std::int64_t> keys;
    std::vector<double> scores;
    for (std::int64_t r = 0; r < a.range_count; ++r) {
      for (std::int64_t j = a.ranges[r].begin; j < std::min(a.ranges[r].end, a.keys); ++j) {
        if (!sees(a.ranges[r], a.position + i, j)) continue;
        double score = 0;
        for (std::int64_t d = 0; d < a.dim_head; ++d) {
          score += static_cast<double>(a.q[i * a.q_stride + d]) * a.k[j * a.k_stride + d];
        }
        keys.push_back(j);
        scores.push_back(score * a.scale);
      }
    }
    const double top = *std::max_element(scores.begin(), scores.end());
    double total = 0;
    for (const double score : scores) total += std::exp(score - top);
    if (a.log_sum != nullptr) a.log_sum[i] = static_cast<float>(top + std::log(total));
    for (std::int64_t d = 0; d < a.dim_head; ++d) {
      double sum = 0;
      for (std::size_t n = 0; n < keys.size(); ++n) {
        sum += std::exp(scores[n] - top) * a.v[keys[n] * a.v_stride + d];
      }
      a.out[i * a.out_stride + d] = static_cast<float>(sum / total);
    }
  }
}

void product(const ProductArgs& a) {
  for (std::int64_t r = 0; r < a.rows; ++r) {
    for (std::int64_t c = 0; c < a.columns; ++c) {
      double sum = a.add ? static_cast<double>(a.c[r * a.c_stride + c]) : 0.0;
      for (std::int64_t k = 0; k < a.inner; ++k) {
        sum += static_cast<double>(a.a[r * a.a_row + k * a.a_inner]) * a.b[k * a.b_stride + c];
      }
      a.c[r * a.c_stride + c] = static_cast<float>(sum);
    }
  }
}

void row_max(const RowMaxArgs& a) {
  for (std::int64_t r = 0; r < a.rows; ++r) {
    a.largest[r] = *std::max_element(a.x + r * a.columns, a.x + (r + 1) * a.columns);
  }
}

void exp_rows(const ExpRowsArgs& a) {
  for (std::int64_t r = 0; r < a.rows; ++r) {
    for (std::int64_t c = 0; c < a.columns; ++c) {
      float& x = a.x[r * a.columns + c];
      x = static_cast<float>(std::exp(static_cast<double>(x) - a.offset[r])) + a.addend;
    }
  }
}

constexpr KernelTable kReference = {"scalar",      layer_norm,   mean_rows,      softmax_head,
                                    qama_factors,  qama_moments, qama_couplings, qama_quantise,
                                    qama_energies, qama_project, factors_front,  factors_energies,
                                    attend,        product,      row_max,        exp_rows};

/// Standardised by the mean and population variance of `values`, if per instance; then scale and
/// shift.
void normalise(std::vector<double>& values, bool per_instance, double eps, double scale,
               double shift) {
  double mean = 0;
  double deviation = 1;
  if (per_instance && !values.empty()) {
    const auto count = static_cast<double>(values.size());
    double variance = 0;
    for (const double v : values) mean += v / count;
    for (const double v : values) variance += sqr(v - mean) / count;
    deviation = std::sqrt(variance + eps);
  }
  for (double& v : values) v = (v - mean) / deviation * scale + shift;
}

}  // namespace

const KernelTable& reference_kernels() noexcept {
  return kReference;
}

std::vector<float> reference_int8_linear(std::int64_t rows, std::int64_t in,
                                         std::span<const float> x, const Int8Weights& weights,
                                         std::span<const float> bias) {
  const std::size_t out = weights.scales.size();
  std::vector<float> y;
  std::vector<std::int32_t> q(static_cast<std::size_t>(in));
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* row = x.data() + r * in;
    float largest = 0;
    bool finite = true;
    for (std::int64_t k = 0; k < in; ++k) {
      finite = finite && std::isfinite(row[k]);
      largest = std::max(largest, std::fabs(row[k]));
    }
    float scale = 0;
    std::fill(q.begin(), q.end(), 0);
    if (!finite) {
      scale = std::numeric_limits<float>::quiet_NaN();
    } else if (largest >= kSmallestRow) {
      scale = largest / 127.0F;
      const float inverse = 127.0F / largest;
      for (std::int64_t k = 0; k < in; ++k) {
        q[k] = static_cast<std::int32_t>(std::nearbyint(row[k] * inverse));
      }
    }
    for (std::size_t o = 0; o < out; ++o) {
      std::int32_t sum = 0;
      for (std::int64_t k = 0; k < in; ++k) sum += q[k] * weights.values[o * in + k];
      y.push_back(static_cast<float>(sum) * (scale * weights.scales[o]) +
                  (bias.empty() ? 0.0F : bias[o]));
    }
  }
  return y;
}

namespace {

/// To f16, from a double: to nearest, ties to even.
double rounded_to_f16(double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  const double step = std::ldexp(1.0, std::max(std::ilogb(x), -14) - 10);
  return std::nearbyint(x / step) * step;
}

/// A row's sums in bf16, from the biases on. A product is exact in float.
void bf16_row(std::span<const float> x, std::span<const std::uint16_t> weights,
              std::span<float> sums) {
  const auto normal = [](std::uint16_t half) {
    const float value = float_from_bf16(half);
    return std::fabs(value) < 0x1p-126F ? std::copysign(0.0F, value) : value;
  };
  std::vector<float> inputs((x.size() + 1) / 2 * 2);
  for (std::size_t k = 0; k < x.size(); ++k) {
    inputs[k] = std::fabs(x[k]) < 0x1p-126F ? 0.0F : float_from_bf16(bf16_from_float(x[k]));
  }
  for (std::size_t o = 0; o < sums.size(); ++o) {
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const std::size_t at = k ^ 1U;
      const float product =
          inputs[at] * (at < x.size() ? normal(weights[o * x.size() + at]) : 0.0F);
      sums[o] += product;
    }
  }
}

/// The same in f16. A double holds a product, and its sum with what is not very different.
void f16_row(std::span<const float> x, std::span<const std::uint16_t> weights,
             std::span<float> sums) {
  float largest = 0;
  bool finite = true;
  for (const float v : x) {
    finite = finite && std::isfinite(v);
    largest = std::max(largest, std::fabs(v));
  }
  const bool counts = finite && largest >= kSmallestRow;
  const float row_scale = !finite  ? std::numeric_limits<float>::quiet_NaN()
                          : counts ? std::ldexp(1.0F, std::ilogb(largest) - 9)
                                   : 0.0F;
  std::vector<double> inputs(x.size());
  for (std::size_t k = 0; counts && k < x.size(); ++k) {
    inputs[k] = rounded_to_f16(static_cast<double>(x[k]) / row_scale);
  }
  for (std::size_t o = 0; o < sums.size(); ++o) {
    const auto row = weights.subspan(o * x.size(), x.size());
    float most = 0;
    for (const std::uint16_t half : row) most = std::max(most, std::fabs(float_from_f16(half)));
    const float scale = most == 0 ? 1.0F : std::ldexp(1.0F, std::ilogb(most) + 1);
    float sum = 0;
    for (std::size_t k = 0; counts && k < x.size(); k += kHalfBlock) {
      const std::size_t end = std::min<std::size_t>(k + kHalfBlock, x.size());
      double block = 0;
      for (std::size_t i = k; i < end; ++i) {
        const double w = rounded_to_f16(static_cast<double>(float_from_f16(row[i])) / scale);
        block = rounded_to_f16(inputs[i] * w + block);
      }
      sum += static_cast<float>(block);
    }
    sums[o] = sum * (row_scale * scale) + sums[o];
  }
}

}  // namespace

std::vector<float> reference_half_linear(std::int64_t rows, std::int64_t in,
                                         std::span<const float> x, const HalfWeights& weights,
                                         std::span<const float> bias) {
  const auto length = static_cast<std::size_t>(in);
  const std::size_t out = weights.values.size() / length;
  std::vector<float> y(static_cast<std::size_t>(rows) * out);
  for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
    const auto sums = std::span(y).subspan(r * out, out);
    std::copy(bias.begin(), bias.end(), sums.begin());
    const auto row = weights.kind == Half::bf16 ? bf16_row : f16_row;
    row(x.subspan(r * length, length), weights.values, sums);
  }
  return y;
}

ReferenceLayer reference_front(const QamaFrontSpec& spec, std::int64_t tokens, const float* qkh) {
  const auto n = static_cast<std::size_t>(tokens);
  const auto heads = static_cast<std::size_t>(spec.heads);
  const auto d_count = static_cast<std::size_t>(spec.dim_head);
  const std::size_t row = 2 * heads * d_count + heads;
  const bool per_instance = spec.normalisation == QamaNormalisation::instance;
  ReferenceLayer out;
  out.couplings.assign(heads * n * n, 0.0);
  out.fields.resize(heads * n);
  out.lambda = spec.lambda(tokens);
  for (std::size_t t = 0; t < heads; ++t) {
    const auto q = [&](std::size_t i, std::size_t d) {
      return static_cast<double>(qkh[i * row + t * d_count + d]);
    };
    const auto k = [&](std::size_t i, std::size_t d) {
      return static_cast<double>(qkh[i * row + (heads + t) * d_count + d]);
    };
    // J = (Q K^T)(K Q^T) / (2 D)
    std::vector<double> scores(n * n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t m = 0; m < n; ++m) {
        for (std::size_t d = 0; d < d_count; ++d) scores[i * n + m] += q(i, d) * k(m, d);
      }
    }
    std::vector<double> off_diagonal;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        if (i == j) continue;
        double sum = 0;
        for (std::size_t m = 0; m < n; ++m) sum += scores[i * n + m] * scores[j * n + m];
        off_diagonal.push_back(sum / (2.0 * static_cast<double>(d_count)));
      }
    }
    normalise(off_diagonal, per_instance, spec.eps, spec.coupling_scale[t], spec.coupling_shift[t]);
    std::size_t next = 0;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        if (i != j) out.couplings[(t * n + i) * n + j] = off_diagonal[next++];
      }
    }
    std::vector<double> h(n);
    for (std::size_t i = 0; i < n; ++i) h[i] = qkh[i * row + 2 * heads * d_count + t];
    normalise(h, per_instance, spec.eps, spec.field_scale[t], spec.field_shift[t]);
    for (std::size_t i = 0; i < n; ++i) out.fields[t * n + i] = spec.rho(tokens) * h[i];
  }
  double largest = 0;
  for (std::size_t ti = 0; ti < heads * n; ++ti) {
    double sum = std::fabs(out.fields[ti]) + out.lambda * static_cast<double>(heads - 1);
    for (std::size_t j = 0; j < n; ++j) sum += std::fabs(out.couplings[ti * n + j]);
    largest = std::max(largest, sum);
  }
  out.scale = largest > 0 ? (32765.0 - 0.5 * static_cast<double>(n + heads)) / largest : 1.0;
  const auto rounded = [&](double v) {
    return static_cast<std::int16_t>(std::lrint(v * out.scale));
  };
  for (const double v : out.couplings) out.weights.push_back(rounded(v));
  for (const double v : out.fields) out.biases.push_back(rounded(v));
  out.penalty = rounded(out.lambda);
  return out;
}

std::vector<double> reference_energies(const ReferenceLayer& layer, std::int64_t heads,
                                       std::int64_t tokens,
                                       const std::vector<std::uint8_t>& spins) {
  const auto n = static_cast<std::size_t>(tokens);
  std::vector<double> out(static_cast<std::size_t>(heads) * n);
  for (std::size_t t = 0; t < static_cast<std::size_t>(heads); ++t) {
    for (std::size_t i = 0; i < n; ++i) {
      if (spins[t * n + i] == 0) continue;
      double local = layer.fields[t * n + i];
      for (std::size_t j = 0; j < n; ++j) {
        if (spins[t * n + j] != 0) local += layer.couplings[(t * n + i) * n + j];
      }
      out[t * n + i] = -local;
    }
  }
  return out;
}

}  // namespace qama::ops
