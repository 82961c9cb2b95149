#include "ops/attention/qama_v1.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

namespace qama::ops {
namespace {

/// p log2 p, 0 for p = 0; a NaN comes through, so that it is found.
double plogp(double p) noexcept {
  return p == 0 ? 0.0 : p * std::log(p) * std::numbers::log2e;
}

double at(std::span<const float> values, std::int64_t t) noexcept {
  return static_cast<double>(values[static_cast<std::size_t>(t)]);
}

/// Softmax of `count` numbers; returns its sum of p log2 p.
double softmax(const float* from, std::int64_t count, double* to) noexcept {
  const double top = static_cast<double>(*std::max_element(from, from + count));
  double total = 0;
  for (std::int64_t d = 0; d < count; ++d)
    total += to[d] = std::exp(static_cast<double>(from[d]) - top);
  double information = 0;
  for (std::int64_t d = 0; d < count; ++d) information += plogp(to[d] /= total);
  return information;
}

}  // namespace

Result<std::unique_ptr<QamaV1Attention>> QamaV1Attention::create(const QamaV1Spec& spec) {
  if (spec.bits < 1 || spec.bits > 8) {
    return Error{ErrorCode::invalid_argument,
                 "QAMA v1: selections of " + std::to_string(spec.bits) + " bits, expected 1 to 8"};
  }
  const auto heads = static_cast<std::size_t>(spec.heads);
  std::unique_ptr<QamaV1Attention> out(new QamaV1Attention());
  out->spec_ = spec;
  out->constants_.resize(6 * heads);
  float* constant = out->constants_.data();
  for (auto* span :
       {&out->spec_.coupling_scale, &out->spec_.coupling_shift, &out->spec_.field_scale,
        &out->spec_.field_shift, &out->spec_.energy_scale, &out->spec_.energy_shift}) {
    if (span->size() != heads) {
      return Error{ErrorCode::invalid_argument, "QAMA v1: a scale or shift has " +
                                                    std::to_string(span->size()) +
                                                    " elements, expected " + std::to_string(heads)};
    }
    std::copy(span->begin(), span->end(), constant);
    *span = {constant, heads};
    constant += heads;
  }
  return out;
}

Status QamaV1Attention::front(std::int64_t tokens, const float* qkv, const QamaV1Workspace& w,
                              hal::DenseView& problem) const {
  const std::int64_t width = spec_.dim_head;
  const std::int64_t inner = spec_.heads * width;
  double* p = w.shares;
  double* r = p + tokens * width;
  double* p_information = r + tokens * width;
  double* r_information = p_information + tokens;
  for (std::int64_t t = 0; t < spec_.heads; ++t) {
    for (std::int64_t i = 0; i < tokens; ++i) {
      const float* row = qkv + i * 3 * inner + t * width;
      p_information[i] = softmax(row, width, p + i * width);
      r_information[i] = softmax(row + inner, width, r + i * width);

      const float* v = row + 2 * inner;
      double total = kEps;
      for (std::int64_t d = 0; d < width; ++d) total += static_cast<double>(v[d]);
      double h = 0;
      for (std::int64_t d = 0; d < width; ++d) {
        const double share = std::clamp(static_cast<double>(v[d]) / total, kEps, 1.0);
        h += w.entropies[(t * tokens + i) * width + d] = -plogp(share);
      }
      w.real_fields[t * tokens + i] = at(spec_.field_scale, t) * h + at(spec_.field_shift, t);
    }
    for (std::int64_t i = 0; i < tokens; ++i) {
      for (std::int64_t j = 0; j < tokens; ++j) {
        double mixed = 0;
        for (std::int64_t d = 0; d < width; ++d)
          mixed += plogp((p[i * width + d] + r[j * width + d]) / 2);
        const double divergence = (p_information[i] + r_information[j]) / 2 - mixed;
        w.real_couplings[(t * tokens + i) * tokens + j] =
            i == j ? divergence
                   : at(spec_.coupling_scale, t) * divergence + at(spec_.coupling_shift, t);
      }
    }
  }
  return quantise(tokens, w, problem);
}

/// A bit k of token i and a bit l of token j meet in w_i w_j twice, as (i, j) and as (j, i), with
/// 2^(k+l) / (2^b - 1)^2; a bit meets itself in w_i^2 once, which is a field. Rounded by the rule
/// of hal/lower/problem_builder.cpp.
Status QamaV1Attention::quantise(std::int64_t tokens, const QamaV1Workspace& w,
                                 hal::DenseView& problem) const {
  const std::int64_t bits = spec_.bits;
  const std::int64_t spins = tokens * bits;
  const std::int64_t stride = hal::row_stride(static_cast<std::int32_t>(spins));
  const double unit = 1.0 / static_cast<double>((std::int64_t{1} << bits) - 1);
  const auto place = [unit](std::int64_t k) {
    return unit * static_cast<double>(std::int64_t{1} << k);
  };
  const double pairs = static_cast<double>(spec_.heads * (spec_.heads - 1)) / 2;
  const double lambda = spec_.heads > 1 ? spec_.penalty / pairs : 0.0;
  const auto both = [&](std::int64_t t, std::int64_t i, std::int64_t j) {
    const double* head = w.real_couplings + t * tokens * tokens;
    return spec_.quadratic * (head[i * tokens + j] + head[j * tokens + i]);
  };
  const auto field = [&](std::int64_t t, std::int64_t i, std::int64_t k) {
    return both(t, i, i) / 2 * place(k) * place(k) +
           spec_.linear * w.real_fields[t * tokens + i] * place(k);
  };
  double largest = 0;
  for (std::int64_t t = 0; t < spec_.heads; ++t) {
    for (std::int64_t i = 0; i < tokens; ++i) {
      double others = 0;
      for (std::int64_t j = 0; j < tokens; ++j) others += i == j ? 0.0 : std::fabs(both(t, i, j));
      for (std::int64_t k = 0; k < bits; ++k) {
        // The places of a token add up to 1.
        const double sum = place(k) * (others + std::fabs(both(t, i, i)) * (1.0 - place(k))) +
                           std::fabs(field(t, i, k)) +
                           lambda * static_cast<double>(spec_.heads - 1);
        if (!std::isfinite(sum)) {
          return Error{
              ErrorCode::problem_bad_value,
              "a layer's couplings or fields are not finite: the input or the weights are out of "
              "range"};
        }
        largest = std::max(largest, sum);
      }
    }
  }
  const double room = 32765.0 - 0.5 * static_cast<double>(spins + spec_.heads);
  const double scale = largest > 0 ? room / largest : 1.0;
  const auto rounded = [scale](double value) {
    return static_cast<std::int16_t>(std::lrint(value * scale));
  };
  for (std::int64_t t = 0; t < spec_.heads; ++t) {
    for (std::int64_t a = 0; a < spins; ++a) {
      const std::int64_t i = a / bits;
      const std::int64_t k = a % bits;
      std::int16_t* row = w.couplings + (t * spins + a) * stride;
      for (std::int64_t b = 0; b < spins; ++b) {
        // The product of places first: it is the same for (a, b) and (b, a), to the bit.
        row[b] =
            a == b ? std::int16_t{0} : rounded(both(t, i, b / bits) * (place(k) * place(b % bits)));
      }
      std::fill(row + spins, row + stride, std::int16_t{0});
      w.fields[t * stride + a] = rounded(field(t, i, k));
    }
    std::fill(w.fields + t * stride + spins, w.fields + (t + 1) * stride, std::int16_t{0});
  }
  problem = {};
  problem.shape = {static_cast<std::int32_t>(spec_.heads), static_cast<std::int32_t>(spins)};
  problem.couplings = w.couplings;
  problem.fields = w.fields;
  problem.penalty = rounded(lambda);
  problem.scale = scale;
  return {};
}

void QamaV1Attention::energies(std::int64_t tokens, const QamaV1Workspace& w) const noexcept {
  const std::int64_t bits = spec_.bits;
  const std::int64_t words = hal::words_per_head(static_cast<std::int32_t>(tokens * bits));
  const double unit = 1.0 / static_cast<double>((std::int64_t{1} << bits) - 1);
  for (std::int64_t t = 0; t < spec_.heads; ++t) {
    for (std::int64_t i = 0; i < tokens; ++i) {
      std::int64_t level = 0;
      for (std::int64_t k = 0; k < bits; ++k) {
        const std::int64_t spin = i * bits + k;
        level |= static_cast<std::int64_t>(w.spins[t * words + spin / 64] >> (spin % 64) & 1U) << k;
      }
      w.selected[i] = unit * static_cast<double>(level);
    }
    for (std::int64_t i = 0; i < tokens; ++i) {
      const double* row = w.real_couplings + (t * tokens + i) * tokens;
      double sum = 0;
      for (std::int64_t j = 0; j < tokens; ++j) sum += row[j] * w.selected[j];
      w.energies[t * tokens + i] =
          -(spec_.quadratic * sum + spec_.linear * w.real_fields[t * tokens + i]) * w.selected[i];
    }
  }
}

void QamaV1Attention::output(std::int64_t tokens, const QamaV1Workspace& w,
                             float* out) const noexcept {
  const std::int64_t width = spec_.dim_head;
  for (std::int64_t t = 0; t < spec_.heads; ++t) {
    for (std::int64_t i = 0; i < tokens; ++i) {
      const double ratio = -w.energies[t * tokens + i] / w.real_fields[t * tokens + i];
      const double* entropies = w.entropies + (t * tokens + i) * width;
      float* row = out + i * spec_.heads * width + t * width;
      for (std::int64_t d = 0; d < width; ++d) {
        row[d] = static_cast<float>(at(spec_.energy_scale, t) * ratio * entropies[d] +
                                    at(spec_.energy_shift, t));
      }
    }
  }
}

}  // namespace qama::ops
