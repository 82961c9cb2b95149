// The kernels' code, once for all targets: a template on the xsimd architecture. Included only by
// kernels_<target>.cpp, each compiled with its own instruction-set flags; everything has internal
// linkage and calls nothing that another file could emit too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hal/base/vectors.h"
#include "ops/simd/kernels.h"

namespace qama::ops {
namespace {

// Engines unroll loops by themselves, and a module of WebAssembly is small before all else.
#if defined(__wasm__)
#define QAMA_NOT_UNROLLED _Pragma("clang loop unroll(disable)")
#else
#define QAMA_NOT_UNROLLED
#endif

template <class Arch>
struct Kernels {
  using F = xsimd::batch<float, Arch>;
  using D = xsimd::batch<double, WholeFloats<Arch>>;
  /// Of an address: where that has 32 bits, the other half of 64 is work for nothing.
  using Index = std::ptrdiff_t;
  static constexpr Index kF = static_cast<Index>(F::size);
  static constexpr Index kD = static_cast<Index>(D::size);

  static F load(const float* p) { return F::load_unaligned(p); }
  static D load(const double* p) { return D::load_unaligned(p); }

  /// The first `count` < kF floats, the rest 0.
  static F load_part(const float* p, std::int64_t count) {
    alignas(64) float lanes[kF] = {};
    std::memcpy(lanes, p, static_cast<std::size_t>(count) * sizeof(float));
    return F::load_aligned(lanes);
  }
  static void store_part(float* p, F value, std::int64_t count) {
    alignas(64) float lanes[kF];
    value.store_aligned(lanes);
    std::memcpy(p, lanes, static_cast<std::size_t>(count) * sizeof(float));
  }

  static void layer_norm(const LayerNormArgs& a) {
    const std::int64_t whole = a.dim / kF * kF;
    const std::int64_t tail = a.dim - whole;
    const float inverse = 1.0F / static_cast<float>(a.dim);
    // Lanes behind the tail must not count in the variance: they hold 0, not the mean.
    alignas(64) float ones[kF] = {};
    for (std::int64_t l = 0; l < tail; ++l) ones[l] = 1.0F;
    const F tail_mask = F::load_aligned(ones);
    for (std::int64_t r = 0; r < a.rows; ++r) {
      float* x = a.x + r * a.dim;
      F sum(0.0F);
      if (a.residual != nullptr) {
        const float* residual = a.residual + r * a.dim;
        for (std::int64_t c = 0; c < whole; c += kF) {
          const F v = load(x + c) + load(residual + c);
          v.store_unaligned(x + c);
          sum += v;
        }
        if (tail > 0) {
          const F v = load_part(x + whole, tail) + load_part(residual + whole, tail);
          store_part(x + whole, v, tail);
          sum += v;
        }
      } else {
        for (std::int64_t c = 0; c < whole; c += kF) sum += load(x + c);
        if (tail > 0) sum += load_part(x + whole, tail);
      }
      const F mean(xsimd::reduce_add(sum) * inverse);
      F squares(0.0F);
      for (std::int64_t c = 0; c < whole; c += kF) {
        const F v = load(x + c) - mean;
        squares = xsimd::fma(v, v, squares);
      }
      if (tail > 0) {
        const F v = (load_part(x + whole, tail) - mean) * tail_mask;
        squares = xsimd::fma(v, v, squares);
      }
      const float variance = xsimd::reduce_add(squares) * inverse;
      const F factor(1.0F / __builtin_sqrtf(variance + a.eps));
      float* y = a.y + r * a.dim;
      const float* addend = a.addend == nullptr ? nullptr : a.addend + r * a.dim;
      for (std::int64_t c = 0; c < whole; c += kF) {
        F v = xsimd::fma((load(x + c) - mean) * factor, load(a.gamma + c), load(a.beta + c));
        if (addend != nullptr) v += load(addend + c);
        v.store_unaligned(y + c);
      }
      if (tail > 0) {
        F v = xsimd::fma((load_part(x + whole, tail) - mean) * factor,
                         load_part(a.gamma + whole, tail), load_part(a.beta + whole, tail));
        if (addend != nullptr) v += load_part(addend + whole, tail);
        store_part(y + whole, v, tail);
      }
    }
  }

  static void mean_rows(const MeanRowsArgs& a) {
    const float inverse = 1.0F / static_cast<float>(a.rows);
    std::int64_t c = 0;
    for (; c + kF <= a.dim; c += kF) {
      F sum(0.0F);
      for (std::int64_t r = 0; r < a.rows; ++r) sum += load(a.x + r * a.dim + c);
      (sum * F(inverse)).store_unaligned(a.y + c);
    }
    for (; c < a.dim; ++c) {
      float sum = 0;
      for (std::int64_t r = 0; r < a.rows; ++r) sum += a.x[r * a.dim + c];
      a.y[c] = sum * inverse;
    }
  }

  /// The scores of K keys, rows of `k`, with kF S queries [dim_head][S][kF]; `largest` sees them,
  /// too. A key's sum has the same order for any K and S. Fewer than eight sums do not keep two
  /// units of multiplication busy, since a sum waits four cycles for itself.
  template <int K, int S>
  static void score_keys(const float* queries, Index d_count, const float* k, Index stride,
                         float* weights, F (&largest)[S]) {
    F sums[K * S];
    for (F& sum : sums) sum = F(0.0F);
    QAMA_NOT_UNROLLED
    for (Index d = 0; d < d_count; ++d) {
      F q[S];
      for (int s = 0; s < S; ++s) q[s] = load(queries + (d * S + s) * kF);
      // One loop: of two, one in the other, g++ 12 makes one that costs more to enter than it
      // saves.
      for (int c = 0; c < K * S; ++c) {
        sums[c] = xsimd::fma(q[c % S], F(k[c / S * stride + d]), sums[c]);
      }
    }
    for (int c = 0; c < K * S; ++c) {
      sums[c].store_unaligned(weights + c * kF);
      largest[c % S] = xsimd::max(largest[c % S], sums[c]);
    }
  }

  /// Queries first to last - 1, kF S of them at a time. A vector holds kF queries, so nothing is
  /// ever added across lanes.
  template <int S>
  static void softmax_queries(const SoftmaxHeadArgs& a, Index first, Index last) {
    constexpr int kAtOnce = 8 / S;
    const auto n = static_cast<Index>(a.tokens);
    const auto d_count = static_cast<Index>(a.dim_head);
    const auto stride = static_cast<Index>(a.stride);
    const auto out_stride = static_cast<Index>(a.out_stride);
    float* queries = a.scratch;                 // [dim_head][S][kF]
    float* weights = a.scratch + 16 * d_count;  // [tokens][S][kF]
    for (Index i0 = first; i0 < last; i0 += S * kF) {
      const Index lanes = last - i0 < S * kF ? last - i0 : S * kF;
      for (Index l = 0; l < S * kF; ++l) {
        // Lanes behind the last query repeat it; their results are not stored.
        const float* row = a.q + (i0 + (l < lanes ? l : lanes - 1)) * stride;
        for (Index d = 0; d < d_count; ++d) queries[d * S * kF + l] = row[d] * a.scale;
      }
      F largest[S];
      for (F& one : largest) one = F(-3.0e38F);
      Index j = 0;
      for (; j + kAtOnce <= n; j += kAtOnce) {
        score_keys<kAtOnce, S>(queries, d_count, a.k + j * stride, stride, weights + j * S * kF,
                               largest);
      }
      for (; j < n; ++j) {
        score_keys<1, S>(queries, d_count, a.k + j * stride, stride, weights + j * S * kF, largest);
      }
      F inverse[S];
      QAMA_NOT_UNROLLED
      for (int s = 0; s < S; ++s) {
        F total(0.0F);
        for (float* weight = weights + s * kF; weight < weights + n * S * kF; weight += S * kF) {
          const F p = xsimd::exp(load(weight) - largest[s]);
          p.store_unaligned(weight);
          total += p;
        }
        inverse[s] = F(1.0F) / total;
      }
      alignas(64) float out[8 * kF];
      for (Index d0 = 0; d0 < d_count; d0 += kAtOnce) {
        const Index columns = d_count - d0 < kAtOnce ? d_count - d0 : kAtOnce;
        if (columns == kAtOnce) {
          F o[8];
          for (F& sum : o) sum = F(0.0F);
          QAMA_NOT_UNROLLED
          for (j = 0; j < n; ++j) {
            F p[S];
            for (int s = 0; s < S; ++s) p[s] = load(weights + (j * S + s) * kF);
            const float* v = a.v + j * stride + d0;
            for (int c = 0; c < 8; ++c) o[c] = xsimd::fma(p[c % S], F(v[c / S]), o[c]);
          }
          for (int c = 0; c < 8; ++c) (o[c] * inverse[c % S]).store_aligned(out + c * kF);
        } else {
          for (Index c = 0; c < columns * S; ++c) {
            F o(0.0F);
            QAMA_NOT_UNROLLED
            for (j = 0; j < n; ++j) {
              o = xsimd::fma(load(weights + (j * S + c % S) * kF), F(a.v[j * stride + d0 + c / S]),
                             o);
            }
            (o * inverse[c % S]).store_aligned(out + c * kF);
          }
        }
        for (Index l = 0; l < lanes; ++l) {
          float* row = a.out + (i0 + l) * out_stride + d0;
          for (Index c = 0; c < columns; ++c) row[c] = out[c * S * kF + l];
        }
      }
    }
  }

  /// Two vectors of queries share the keys and values that are broadcast to their lanes. Where one
  /// vector is a cache line, a broadcast is part of the product, and costs nothing.
  static void softmax_head(const SoftmaxHeadArgs& a) {
    constexpr int kSets = kF <= 8 ? 2 : 1;
    const auto n = static_cast<Index>(a.tokens);
    const Index left = n % (kSets * kF);
    const Index single = kSets > 1 && left > 0 && left <= kF ? n - left : n;
    softmax_queries<kSets>(a, 0, single);
    if (single < n) softmax_queries<1>(a, single, n);
  }

  static void qama_factors(const QamaFactorArgs& a) {
    const std::int64_t n = a.tokens;
    const std::int64_t d_count = a.dim_head;
    const std::int64_t width = padded8(d_count);
    const std::int64_t stride = token_stride(n);
    double* keys = a.scratch;              // [tokens][width]
    double* gram = a.scratch + n * width;  // [dim_head][width]
    for (std::int64_t i = 0; i < n; ++i) {
      const float* row = a.k + i * a.stride;
      for (std::int64_t d = 0; d < d_count; ++d) keys[i * width + d] = static_cast<double>(row[d]);
      for (std::int64_t d = d_count; d < width; ++d) keys[i * width + d] = 0.0;
    }
    // gram = K^T K / (2 D). Only columns up to the row's vector are needed, the lower triangle.
    const D unit(1.0 / (2.0 * static_cast<double>(d_count)));
    for (std::int64_t r0 = 0; r0 < d_count; r0 += 4) {
      const std::int64_t rows = d_count - r0 < 4 ? d_count - r0 : 4;
      for (std::int64_t c = 0; c < r0 + rows; c += kD) {
        D acc[4] = {D(0.0), D(0.0), D(0.0), D(0.0)};
        const double* key = keys;
        if (rows == 4) {
          for (std::int64_t i = 0; i < n; ++i, key += width) {
            const D column = load(key + c);
            for (int r = 0; r < 4; ++r) acc[r] = xsimd::fma(D(key[r0 + r]), column, acc[r]);
          }
        } else {
          for (std::int64_t i = 0; i < n; ++i, key += width) {
            const D column = load(key + c);
            for (std::int64_t r = 0; r < rows; ++r) {
              acc[r] = xsimd::fma(D(key[r0 + r]), column, acc[r]);
            }
          }
        }
        for (std::int64_t r = 0; r < rows; ++r) {
          (acc[r] * unit).store_unaligned(gram + (r0 + r) * width + c);
        }
      }
    }
    cholesky(gram, d_count, width);

    for (std::int64_t d = 0; d < d_count; ++d) {
      float* to = a.factors + d * stride;
      for (std::int64_t i = 0; i < n; ++i) to[i] = a.q[i * a.stride + d];
      for (std::int64_t i = n; i < stride; ++i) to[i] = 0.0F;
    }
    // F = Q L in place, vectors of tokens: column d needs columns d .. D-1 only.
    for (std::int64_t i = 0; i < stride; i += kF) {
      for (std::int64_t d = 0; d < d_count; ++d) {
        F acc(0.0F);
        for (std::int64_t e = d; e < d_count; ++e) {
          acc = xsimd::fma(F(static_cast<float>(gram[e * width + d])),
                           load(a.factors + e * stride + i), acc);
        }
        acc.store_unaligned(a.factors + d * stride + i);
      }
    }
  }

  /// Lower triangle in place. The matrix is positive semidefinite: a pivot within rounding of 0
  /// means that the column depends on those before it, and gives a column of zeros.
  static void cholesky(double* m, std::int64_t count, std::int64_t width) {
    double largest = 0;
    for (std::int64_t d = 0; d < count; ++d) {
      largest = m[d * width + d] > largest ? m[d * width + d] : largest;
    }
    const double tiny = largest * static_cast<double>(count) * 4.5e-16;
    for (std::int64_t c = 0; c < count; ++c) {
      double pivot = m[c * width + c];
      for (std::int64_t e = 0; e < c; ++e) pivot -= m[c * width + e] * m[c * width + e];
      // A NaN must come through, so that it is found: the test is not written as pivot > tiny.
      const bool dependent = pivot <= tiny;
      const double root = dependent ? 0.0 : __builtin_sqrt(pivot);
      const double inverse = dependent ? 0.0 : 1.0 / root;
      m[c * width + c] = root;
      for (std::int64_t r = c + 1; r < count; ++r) {
        double value = m[r * width + c];
        for (std::int64_t e = 0; e < c; ++e) value -= m[r * width + e] * m[c * width + e];
        m[r * width + c] = value * inverse;
      }
    }
  }

  /// Lane masks, as vectors of all-ones or all-zero bits. A row of `diagonal` has one hole; loading
  /// it k floats before the hole's place puts the hole into lane k.
  struct Masks {
    alignas(64) std::uint32_t tail[2 * kF];
    alignas(64) std::uint32_t diagonal[2 * kF];
    Masks() {
      for (std::int64_t l = 0; l < 2 * kF; ++l) {
        tail[l] = l < kF ? 0xFFFFFFFFU : 0U;
        diagonal[l] = l == kF ? 0U : 0xFFFFFFFFU;
      }
    }
    static F read(const std::uint32_t* from) {
      float lanes[kF];
      std::memcpy(lanes, from, sizeof lanes);
      return load(lanes);
    }
    /// Lanes of the tokens from `first` on that are below `tokens`.
    F inside(std::int64_t first, std::int64_t tokens) const {
      const std::int64_t lanes = tokens - first;
      return read(tail + (lanes >= kF ? 0 : lanes <= 0 ? kF : kF - lanes));
    }
    /// All lanes but token `i` - `first`.
    F without(std::int64_t i, std::int64_t first) const {
      return read(diagonal + (i < first || i >= first + kF ? 0 : kF - (i - first)));
    }
  };

  /// What two vectors of columns gather from all rows.
  struct ColumnSums {
    F inside0, inside1;          // lane masks of the tokens
    F sums0{0.0F}, sums1{0.0F};  // of |J'|
  };

  /// Rows i .. i + R - 1 of the columns from j on. Products of a pair of tokens are added in the
  /// same order for (i, j) and for (j, i).
  template <int R>
  static void coupling_rows(const QamaCouplingArgs& a, const Masks& masks, std::int64_t i,
                            std::int64_t j, std::int64_t stride, ColumnSums& columns) {
    F acc0[R];
    F acc1[R];
    for (int r = 0; r < R; ++r) acc0[r] = acc1[r] = F(0.0F);
    const float* factor = a.factors;
    for (std::int64_t d = 0; d < a.dim_head; ++d, factor += stride) {
      const F column0 = load(factor + j);
      const F column1 = load(factor + j + kF);
      for (int r = 0; r < R; ++r) {
        const F row(factor[i + r]);
        acc0[r] = xsimd::fma(row, column0, acc0[r]);
        acc1[r] = xsimd::fma(row, column1, acc1[r]);
      }
    }
    const F scale(a.scale);
    const F shift(a.shift);
    for (int r = 0; r < R; ++r) {
      acc0[r] = xsimd::bitwise_and(xsimd::fma(acc0[r], scale, shift), columns.inside0);
      acc1[r] = xsimd::bitwise_and(xsimd::fma(acc1[r], scale, shift), columns.inside1);
    }
    if (i + R > j && i < j + 2 * kF) {
      for (int r = 0; r < R; ++r) {
        acc0[r] = xsimd::bitwise_and(acc0[r], masks.without(i + r, j));
        acc1[r] = xsimd::bitwise_and(acc1[r], masks.without(i + r, j + kF));
      }
    }
    float* out = a.couplings + i * stride + j;
    for (int r = 0; r < R; ++r, out += stride) {
      columns.sums0 += xsimd::abs(acc0[r]);
      columns.sums1 += xsimd::abs(acc1[r]);
      acc0[r].store_unaligned(out);
      acc1[r].store_unaligned(out + kF);
    }
  }

  /// A vector holds kF columns j; rows i go by in fours. Because J is symmetric, a column's sum is
  /// a row's, and nothing is added across lanes.
  static void qama_couplings(const QamaCouplingArgs& a) {
    const Masks masks;
    const std::int64_t n = a.tokens;
    const std::int64_t stride = token_stride(n);
    for (std::int64_t j = 0; j < stride; j += 2 * kF) {
      ColumnSums columns{masks.inside(j, n), masks.inside(j + kF, n)};
      std::int64_t i = 0;
      for (; i + 4 <= n; i += 4) coupling_rows<4>(a, masks, i, j, stride, columns);
      for (; i < n; ++i) coupling_rows<1>(a, masks, i, j, stride, columns);
      columns.sums0.store_unaligned(a.sums + j);
      columns.sums1.store_unaligned(a.sums + j + kF);
    }
  }

  static double add_double(F value) {
    alignas(64) float lanes[kF];
    value.store_aligned(lanes);
    double sums[4] = {};
    for (std::int64_t l = 0; l < kF; l += 4) {
      for (int k = 0; k < 4; ++k) sums[k] += static_cast<double>(lanes[l + k]);
    }
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
  }

  static void qama_moments(QamaMomentArgs& a) {
    const std::int64_t stride = token_stride(a.tokens);
    double sum = 0;
    double squares = 0;
    for (std::int64_t d = 0; d < a.dim_head; ++d) {
      const float* left = a.factors + d * stride;
      F column(0.0F);
      for (std::int64_t i = 0; i < stride; i += kF) column += load(left + i);
      const double total = add_double(column);
      sum += total * total;
      for (std::int64_t e = 0; e <= d; ++e) {
        const float* right = a.factors + e * stride;
        F product(0.0F);
        for (std::int64_t i = 0; i < stride; i += kF) {
          product = xsimd::fma(load(left + i), load(right + i), product);
        }
        const double gram = add_double(product);
        squares += (e < d ? 2.0 : 1.0) * gram * gram;
      }
    }
    // The diagonal, F_i . F_i, is in both.
    F diagonal(0.0F);
    F diagonal_squares(0.0F);
    for (std::int64_t i = 0; i < stride; i += kF) {
      F own(0.0F);
      for (std::int64_t d = 0; d < a.dim_head; ++d) {
        const F value = load(a.factors + d * stride + i);
        own = xsimd::fma(value, value, own);
      }
      diagonal += own;
      diagonal_squares = xsimd::fma(own, own, diagonal_squares);
    }
    a.sum = sum - add_double(diagonal);
    a.sum_squares = squares - add_double(diagonal_squares);
  }

  static void qama_quantise(const QamaQuantiseArgs& a) {
    // Adding 1.5 * 2^23 leaves the rounded integer in the low bits of the float.
    for (std::int64_t j = 0; j < a.count; ++j) {
      const float shifted = a.couplings[j] * a.scale + 12582912.0F;
      std::uint32_t bits;
      std::memcpy(&bits, &shifted, sizeof bits);
      a.out[j] = static_cast<std::int16_t>(bits & 0xFFFFU);
    }
  }

  static void qama_energies(const QamaEnergyArgs& a) {
    const std::int64_t n = a.tokens;
    const std::int64_t stride = token_stride(n);
    double* selected = a.scratch;  // s_i as 0 or 1
    double count = 0;
    for (std::int64_t i = 0; i < stride; ++i) {
      selected[i] = static_cast<double>(a.spins[i / 64] >> (i % 64) & 1U);
    }
    for (std::int64_t w = 0; w < stride / 64; ++w) {
      count += static_cast<double>(__builtin_popcountll(a.spins[w]));
    }
    for (std::int64_t i = 0; i < stride; ++i) a.energies[i] = 0.0;
    for (std::int64_t d = 0; d < a.dim_head; ++d) {
      const float* factor = a.factors + d * stride;
      double lanes[8] = {};
      for (std::int64_t i = 0; i < stride; i += 8) {
        for (int l = 0; l < 8; ++l)
          lanes[l] += static_cast<double>(factor[i + l]) * selected[i + l];
      }
      const double z = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
                       ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
      for (std::int64_t i = 0; i < stride; ++i) {
        const double f = static_cast<double>(factor[i]);
        a.energies[i] += f * (z - f);
      }
    }
    const double constant = a.shift * (count - 1.0);
    for (std::int64_t i = 0; i < stride; ++i) {
      a.energies[i] = -selected[i] * (a.scale * a.energies[i] + constant + a.fields[i]);
    }
  }

  static void qama_project(const QamaProjectArgs& a) {
    const std::int64_t stride = token_stride(a.tokens);
    for (std::int64_t i = 0; i < a.tokens; ++i) {
      float* out = a.out + i * a.dim;
      std::int64_t c = 0;
      for (; c + 4 * kF <= a.dim; c += 4 * kF) {
        F acc[4];
        for (int v = 0; v < 4; ++v) acc[v] = load(a.bias + c + v * kF);
        for (std::int64_t t = 0; t < a.heads; ++t) {
          const float energy = static_cast<float>(a.energies[t * stride + i]);
          const float* table = a.table + t * a.dim + c;
          for (int v = 0; v < 4; ++v) acc[v] = xsimd::fma(F(energy), load(table + v * kF), acc[v]);
        }
        for (int v = 0; v < 4; ++v) acc[v].store_unaligned(out + c + v * kF);
      }
      for (; c < a.dim; ++c) {
        float acc = a.bias[c];
        for (std::int64_t t = 0; t < a.heads; ++t) {
          acc += static_cast<float>(a.energies[t * stride + i]) * a.table[t * a.dim + c];
        }
        out[c] = acc;
      }
    }
  }

  /// As softmax_head: a vector holds kF queries. A range is first cut to what its queries can see.
  static void attend(const AttendArgs& a) {
    const auto d_count = static_cast<Index>(a.dim_head);
    const auto k_stride = static_cast<Index>(a.k_stride);
    float* queries = a.scratch;                 // [dim_head][kF]
    float* weights = a.scratch + 16 * d_count;  // [keys seen][kF]
    alignas(64) float numbers[kF];
    for (std::int64_t i0 = 0; i0 < a.queries; i0 += kF) {
      const std::int64_t lanes = a.queries - i0 < kF ? a.queries - i0 : kF;
      const std::int64_t first = a.position + i0;
      const std::int64_t last = first + lanes - 1;
      for (std::int64_t l = 0; l < kF; ++l) {
        // Lanes behind the last query repeat it; their results are not stored.
        const std::int64_t i = l < lanes ? l : lanes - 1;
        const float* row = a.q + (i0 + i) * a.q_stride;
        for (std::int64_t d = 0; d < d_count; ++d) queries[d * kF + l] = row[d] * a.scale;
        numbers[l] = static_cast<float>(i);
      }
      const F number = F::load_aligned(numbers);
      F largest[1] = {F(-3.0e38F)};
      float* weight = weights;
      for (std::int64_t r = 0; r < a.range_count; ++r) {
        const KeyRange range = cut(a.ranges[r], first, last, a.keys);
        std::int64_t j = range.begin;
        while (j < range.end) {
          const float* k = a.k + j * k_stride;
          if (j + 8 <= range.end && sees_all(range, first, last, j, j + 7)) {
            score_keys<8, 1>(queries, d_count, k, k_stride, weight, largest);
            weight += 8 * kF;
            j += 8;
            continue;
          }
          F s(0.0F);
          QAMA_NOT_UNROLLED
          for (std::int64_t d = 0; d < d_count; ++d) {
            s = xsimd::fma(load(queries + d * kF), F(k[d]), s);
          }
          if (!sees_all(range, first, last, j, j)) {
            const F distance = xsimd::abs(number - F(static_cast<float>(j - first)));
            const F hidden(-3.0e38F);
            s = range.band >= 0
                    ? xsimd::select(distance <= F(static_cast<float>(range.band)), s, hidden)
                    : xsimd::select(distance >= F(0.5F), s, hidden);
          }
          s.store_unaligned(weight);
          largest[0] = xsimd::max(largest[0], s);
          weight += kF;
          ++j;
        }
      }
      const std::int64_t seen = (weight - weights) / kF;
      F total(0.0F);
      for (std::int64_t j = 0; j < seen; ++j) {
        const F p = xsimd::exp(load(weights + j * kF) - largest[0]);
        p.store_unaligned(weights + j * kF);
        total += p;
      }
      if (a.log_sum != nullptr)
        store_part_or_all(a.log_sum + i0, largest[0] + xsimd::log(total), lanes);
      const F inverse = F(1.0F) / total;
      alignas(64) float out[8 * kF];
      for (std::int64_t d0 = 0; d0 < d_count; d0 += 8) {
        const std::int64_t columns = d_count - d0 < 8 ? d_count - d0 : 8;
        F o[8];
        for (F& value : o) value = F(0.0F);
        weight = weights;
        for (std::int64_t r = 0; r < a.range_count; ++r) {
          const KeyRange range = cut(a.ranges[r], first, last, a.keys);
          QAMA_NOT_UNROLLED
          for (std::int64_t j = range.begin; j < range.end; ++j, weight += kF) {
            const F p = load(weight);
            const float* v = a.v + j * a.v_stride + d0;
            if (columns == 8) {
              for (int c = 0; c < 8; ++c) o[c] = xsimd::fma(p, F(v[c]), o[c]);
            } else {
              for (std::int64_t c = 0; c < columns; ++c) o[c] = xsimd::fma(p, F(v[c]), o[c]);
            }
          }
        }
        for (int c = 0; c < 8; ++c) (o[c] * inverse).store_aligned(out + c * kF);
        for (std::int64_t l = 0; l < lanes; ++l) {
          float* row = a.out + (i0 + l) * a.out_stride + d0;
          for (std::int64_t c = 0; c < columns; ++c) row[c] = out[c * kF + l];
        }
      }
    }
  }

  static void store_part_or_all(float* p, F value, std::int64_t count) {
    if (count == kF) {
      value.store_unaligned(p);
    } else {
      store_part(p, value, count);
    }
  }

  /// The keys of a range that at least one of the queries first .. last sees.
  static KeyRange cut(const KeyRange& range, std::int64_t first, std::int64_t last,
                      std::int64_t keys) {
    KeyRange out = range;
    if (out.end > keys) out.end = keys;
    if (out.band >= 0) {
      if (out.begin < first - out.band) out.begin = first - out.band;
      if (out.end > last + out.band + 1) out.end = last + out.band + 1;
    }
    return out;
  }
  /// Whether all queries see all keys from j to `to`.
  static bool sees_all(const KeyRange& range, std::int64_t first, std::int64_t last, std::int64_t j,
                       std::int64_t to) {
    if (range.band >= 0) return j >= last - range.band && to <= first + range.band;
    return range.band == kEveryKey || to < first || j > last;
  }

  /// R rows and V vectors of columns; `tail` columns in the last vector, kF for a whole one.
  template <int R, int V>
  static void product_tile(const ProductArgs& a, std::int64_t r, std::int64_t c,
                           std::int64_t tail) {
    F acc[R][V];
    for (auto& row : acc) {
      for (F& value : row) value = F(0.0F);
    }
    const float* left = a.a + r * a.a_row;
    const float* right = a.b + c;
    for (std::int64_t k = 0; k < a.inner; ++k, left += a.a_inner, right += a.b_stride) {
      F b[V];
      for (int v = 0; v + 1 < V; ++v) b[v] = load(right + v * kF);
      b[V - 1] = tail == kF ? load(right + (V - 1) * kF) : load_part(right + (V - 1) * kF, tail);
      for (int i = 0; i < R; ++i) {
        const F factor(left[i * a.a_row]);
        for (int v = 0; v < V; ++v) acc[i][v] = xsimd::fma(factor, b[v], acc[i][v]);
      }
    }
    for (int i = 0; i < R; ++i) {
      float* out = a.c + (r + i) * a.c_stride + c;
      for (int v = 0; v < V; ++v) {
        const std::int64_t count = v + 1 < V ? kF : tail;
        if (a.add) {
          acc[i][v] += count == kF ? load(out + v * kF) : load_part(out + v * kF, count);
        }
        store_part_or_all(out + v * kF, acc[i][v], count);
      }
    }
  }

  template <int R>
  static void product_rows(const ProductArgs& a, std::int64_t r) {
    std::int64_t c = 0;
    for (; c + 2 * kF <= a.columns; c += 2 * kF) product_tile<R, 2>(a, r, c, kF);
    for (; c < a.columns; c += kF) {
      product_tile<R, 1>(a, r, c, a.columns - c < kF ? a.columns - c : kF);
    }
  }

  static void product(const ProductArgs& a) {
    std::int64_t r = 0;
    for (; r + 4 <= a.rows; r += 4) product_rows<4>(a, r);
    for (; r < a.rows; ++r) product_rows<1>(a, r);
  }

  static void row_max(const RowMaxArgs& a) {
    for (std::int64_t r = 0; r < a.rows; ++r) {
      const float* row = a.x + r * a.columns;
      F lanes(row[0]);
      std::int64_t c = 0;
      for (; c + kF <= a.columns; c += kF) lanes = xsimd::max(lanes, load(row + c));
      float largest = xsimd::reduce_max(lanes);
      for (; c < a.columns; ++c) largest = row[c] > largest ? row[c] : largest;
      a.largest[r] = largest;
    }
  }

  static void exp_rows(const ExpRowsArgs& a) {
    const F addend(a.addend);
    for (std::int64_t r = 0; r < a.rows; ++r) {
      float* row = a.x + r * a.columns;
      const F offset(a.offset[r]);
      std::int64_t c = 0;
      for (; c + kF <= a.columns; c += kF) {
        (xsimd::exp(load(row + c) - offset) + addend).store_unaligned(row + c);
      }
      if (c < a.columns) {
        const std::int64_t tail = a.columns - c;
        store_part(row + c, xsimd::exp(load_part(row + c, tail) - offset) + addend, tail);
      }
    }
  }

  static constexpr KernelTable table(std::string_view name, void (*factors_front)(LongFactorArgs&),
                                     void (*factors_energies)(const LongEnergyArgs&)) {
    return {name,          layer_norm,   mean_rows,      softmax_head,
            qama_factors,  qama_moments, qama_couplings, qama_quantise,
            qama_energies, qama_project, factors_front,  factors_energies,
            attend,        product,      row_max,        exp_rows};
  }
};

}  // namespace
}  // namespace qama::ops
