// The code of long_factors.h, once for all targets: a template on the xsimd architecture, included only by
// kernels_<target>.cpp (see kernels_impl.h for the rules).
#pragma once

#include <cstdint>
#include <cstring>
#ifdef __AVX512F__
#include <immintrin.h>
#endif
#include <xsimd/xsimd.hpp>

#include "ops/simd/kernels_impl.h"
#include "ops/simd/long_factors.h"

namespace qama::ops {
namespace {

template <class Arch>
struct LongFactors {
  using F = xsimd::batch<float, Arch>;
  static constexpr std::int64_t kF = static_cast<std::int64_t>(F::size);
  using D = xsimd::batch<double, Arch>;
  static constexpr std::int64_t kD = static_cast<std::int64_t>(D::size);
  static constexpr std::int64_t kBlock = 8;   ///< rows of a register block
  static constexpr std::int64_t kChunk = 64;  ///< rows of the input that stay in the first cache
  static constexpr std::int64_t kFold =
      512;  ///< rows that are added up in float before double takes over
  /// Vectors a register block is wide: as many as leave room for a row of broadcasts.
#ifdef __aarch64__
  static constexpr std::int64_t kWide = 3;
#else
  static constexpr std::int64_t kWide = kF == 16 ? 3 : 1;
#endif

  static constexpr std::int64_t kTall = kWide > 1 ? 16 : 8;  ///< rows of a block one vector wide

  /// Whether triangles are cut at half vectors: on AVX-512, where a half costs half, a tenth of the work.
#ifdef __AVX512F__
  static constexpr bool kHalves = kF == 16;
#else
  static constexpr bool kHalves = false;
#endif

  /// A register block of X^T X, rows r0 .. and V vectors of columns c .., before which `half` adds half a vector:
  /// gram += sum_i x_i x_i^T.
  template <std::int64_t V, bool half>
  static void gram_block(const float* x, std::int64_t rows, std::int64_t width, std::int64_t r0, std::int64_t c,
                         float* gram) {
    F acc[kBlock][V > 0 ? V : 1];
    for (std::int64_t r = 0; r < kBlock; ++r) {
      for (std::int64_t v = 0; v < V; ++v) acc[r][v] = F::load_aligned(gram + (r0 + r) * width + c + v * kF);
    }
#ifdef __AVX512F__
    __m256 begin[kBlock];
    for (std::int64_t r = 0; half && r < kBlock; ++r) begin[r] = _mm256_load_ps(gram + (r0 + r) * width + c - 8);
#endif
    for (std::int64_t i = 0; i < rows; ++i, x += width) {
      F column[V > 0 ? V : 1];
      for (std::int64_t v = 0; v < V; ++v) column[v] = F::load_aligned(x + c + v * kF);
      for (std::int64_t r = 0; r < kBlock; ++r) {
        const F factor(x[r0 + r]);
        for (std::int64_t v = 0; v < V; ++v) acc[r][v] = xsimd::fma(factor, column[v], acc[r][v]);
      }
#ifdef __AVX512F__
      if constexpr (half) {
        const __m256 first = _mm256_load_ps(x + c - 8);
        for (std::int64_t r = 0; r < kBlock; ++r) begin[r] = _mm256_fmadd_ps(_mm256_set1_ps(x[r0 + r]), first, begin[r]);
      }
#endif
    }
    for (std::int64_t r = 0; r < kBlock; ++r) {
      for (std::int64_t v = 0; v < V; ++v) acc[r][v].store_aligned(gram + (r0 + r) * width + c + v * kF);
    }
#ifdef __AVX512F__
    for (std::int64_t r = 0; half && r < kBlock; ++r) _mm256_store_ps(gram + (r0 + r) * width + c - 8, begin[r]);
#endif
  }

  /// The upper triangle of X^T X: gram += sum_i x_i x_i^T over `rows` <= kChunk rows. What lies below the diagonal is
  /// of no meaning.
  static void add_gram(const float* x, std::int64_t rows, std::int64_t width, float* gram) {
    for (std::int64_t r0 = 0; r0 < width; r0 += kBlock) {
      std::int64_t c = r0 / kF * kF;
      if (kHalves && r0 % kF != 0) {
        if constexpr (kHalves) {
          c = r0 + kBlock;
          const std::int64_t left = (width - c) / kF;
          const std::int64_t wide = left == 3 || left == 1 ? 1 : left == 0 ? 0 : 2;
          if (wide == 0) gram_block<0, true>(x, rows, width, r0, c, gram);
          if (wide == 1) gram_block<1, true>(x, rows, width, r0, c, gram);
          if (wide == 2) gram_block<2, true>(x, rows, width, r0, c, gram);
          c += wide * kF;
        }
      }
      while (c < width) {
        const std::int64_t left = (width - c) / kF;
        const std::int64_t wide = left > kWide ? (left == kWide + 1 && kWide > 1 ? 2 : kWide) : left;
        if (wide == 1) gram_block<1, false>(x, rows, width, r0, c, gram);
        if constexpr (kWide > 1) {
          if (wide == 2) gram_block<2, false>(x, rows, width, r0, c, gram);
          if (wide == 3) gram_block<3, false>(x, rows, width, r0, c, gram);
        }
        c += wide * kF;
      }
    }
  }

  /// U with U^T U = M in M's upper triangle, in place; what lies below the diagonal is then of no meaning. By
  /// blocks of rows, each first brought up to date by all rows above. M is positive semidefinite: a pivot within
  /// rounding of 0 means that the row depends on those before it, and gives a row of zeros.
  static void cholesky(double* m, std::int64_t count, std::int64_t width) {
    double largest = 0;
    for (std::int64_t d = 0; d < count; ++d) {
      largest = m[d * width + d] > largest ? m[d * width + d] : largest;
    }
    const double tiny = largest * static_cast<double>(count) * 4.5e-16;
    for (std::int64_t i0 = 0; i0 < width; i0 += kBlock) {
      for (std::int64_t c = i0 / kD * kD; c < width; c += kD) {
        D acc[kBlock];
        for (std::int64_t r = 0; r < kBlock; ++r) acc[r] = D::load_aligned(m + (i0 + r) * width + c);
        for (std::int64_t j = 0; j < i0; ++j) {
          const double* above = m + j * width;
          const D column = D::load_aligned(above + c);
          for (std::int64_t r = 0; r < kBlock; ++r) acc[r] = xsimd::fnma(D(above[i0 + r]), column, acc[r]);
        }
        for (std::int64_t r = 0; r < kBlock; ++r) acc[r].store_aligned(m + (i0 + r) * width + c);
      }
      for (std::int64_t i = i0; i < i0 + kBlock; ++i) {
        double* row = m + i * width;
        const std::int64_t from = i / kD * kD;
        for (std::int64_t j = i0; j < i; ++j) {
          const double* above = m + j * width;
          const D factor(above[i]);
          for (std::int64_t c = from; c < width; c += kD) {
            xsimd::fnma(factor, D::load_aligned(above + c), D::load_aligned(row + c)).store_aligned(row + c);
          }
        }
        // A NaN must come through, so that it is found: the test is not written as pivot > tiny.
        const double pivot = row[i];
        const bool dependent = pivot <= tiny;
        const double root = dependent ? 0.0 : __builtin_sqrt(pivot);
        const D inverse(dependent ? 0.0 : 1.0 / root);
        for (std::int64_t c = from; c < width; c += kD) (D::load_aligned(row + c) * inverse).store_aligned(row + c);
        row[i] = root;
      }
    }
  }

  static void fold(float* from, double* to, std::int64_t count) {
    for (std::int64_t k = 0; k < count; ++k) to[k] += static_cast<double>(from[k]);
    std::memset(from, 0, static_cast<std::size_t>(count) * sizeof(float));
  }

  /// Rows of the caller's matrix into aligned ones with zeros behind dim_head.
  static void copy_rows(const float* from, std::int64_t stride, std::int64_t rows,
                        std::int64_t dim_head, std::int64_t width, float* to) {
    for (std::int64_t i = 0; i < rows; ++i) {
      std::memcpy(to + i * width, from + i * stride,
                  static_cast<std::size_t>(dim_head) * sizeof(float));
      std::memset(to + i * width + dim_head, 0,
                  static_cast<std::size_t>(width - dim_head) * sizeof(float));
    }
  }

  /// out = x L for one chunk of rows; `lower` [width][width] row-major, 0 above its diagonal.
  static void multiply(const float* x, std::int64_t rows, std::int64_t width, const float* lower,
                       float* out) {
    std::int64_t i = 0;
    for (; i + kTall <= rows; i += kTall) {
      for (std::int64_t c = 0; c < width; c += kF) {
        F acc[kTall];
        for (F& one : acc) one = F(0.0F);
        // Rows of L above column c are 0 there.
        std::int64_t first = c;
#ifdef __AVX512F__
        if constexpr (kHalves) {
          // The next eight are 0 from column c + 8 on.
          first = c + 8;
          __m256 begin[kTall];
          for (__m256& one : begin) one = _mm256_setzero_ps();
          for (std::int64_t e = c; e < first; ++e) {
            const __m256 column = _mm256_load_ps(lower + e * width + c);
            for (std::int64_t r = 0; r < kTall; ++r) {
              begin[r] = _mm256_fmadd_ps(_mm256_set1_ps(x[(i + r) * width + e]), column, begin[r]);
            }
          }
          for (std::int64_t r = 0; r < kTall; ++r) acc[r] = F(_mm512_zextps256_ps512(begin[r]));
        }
#endif
        for (std::int64_t e = first; e < width; ++e) {
          const F column = F::load_aligned(lower + e * width + c);
          for (std::int64_t r = 0; r < kTall; ++r)
            acc[r] = xsimd::fma(F(x[(i + r) * width + e]), column, acc[r]);
        }
        for (std::int64_t r = 0; r < kTall; ++r) acc[r].store_aligned(out + (i + r) * width + c);
      }
    }
    for (; i < rows; ++i) {
      for (std::int64_t c = 0; c < width; c += kF) {
        F acc(0.0F);
        for (std::int64_t e = c; e < width; ++e) {
          acc = xsimd::fma(F(x[i * width + e]), F::load_aligned(lower + e * width + c), acc);
        }
        acc.store_aligned(out + i * width + c);
      }
    }
  }

  /// Sums over the rows of a chunk: `total` += x_i, and of |x_i|^2 and |x_i|^4.
  static void add_norms(const float* x, std::int64_t rows, std::int64_t width, float* total,
                        double& squares, double& fourths) {
    for (std::int64_t c = 0; c < width; c += kF) {
      F sum = F::load_aligned(total + c);
      for (std::int64_t i = 0; i < rows; ++i) sum += F::load_aligned(x + i * width + c);
      sum.store_aligned(total + c);
    }
    for (std::int64_t i = 0; i < rows; ++i, x += width) {
      F sum(0.0F);
      for (std::int64_t c = 0; c < width; c += kF) {
        const F v = F::load_aligned(x + c);
        sum = xsimd::fma(v, v, sum);
      }
      const auto norm = static_cast<double>(xsimd::reduce_add(sum));
      squares += norm;
      fourths += norm * norm;
    }
  }

  static void run(LongFactorArgs& a) {
    const std::int64_t width = long_factor_width(a.dim_head);
    const std::int64_t area = width * width;
    double* gram = a.scratch;
    auto* partial = reinterpret_cast<float*>(gram + area);
    float* lower = partial + area;
    float* rows = lower + area;
    const auto begin_gram = [&] {
      std::memset(gram, 0, static_cast<std::size_t>(area) * sizeof(double));
      std::memset(partial, 0, static_cast<std::size_t>(area) * sizeof(float));
    };

    begin_gram();
    for (std::int64_t i = 0; i < a.tokens; i += kChunk) {
      const std::int64_t count = a.tokens - i < kChunk ? a.tokens - i : kChunk;
      copy_rows(a.k + i * a.stride, a.stride, count, a.dim_head, width, rows);
      add_gram(rows, count, width, partial);
      if ((i + count) % kFold == 0) fold(partial, gram, area);
    }
    fold(partial, gram, area);
    const double unit = 1.0 / (2.0 * static_cast<double>(a.dim_head));
    for (std::int64_t k = 0; k < area; ++k) gram[k] *= unit;
    cholesky(gram, a.dim_head, width);
    for (std::int64_t e = 0; e < width; ++e) {
      float* row = lower + e * width;
      const std::int64_t inside = e < a.dim_head ? e + 1 : 0;
      for (std::int64_t d = 0; d < inside; ++d) row[d] = static_cast<float>(gram[d * width + e]);
      for (std::int64_t d = inside; d < width; ++d) row[d] = 0.0F;
    }

    begin_gram();
    alignas(64) float total[kMaxLongDimHead];
    std::memset(total, 0, static_cast<std::size_t>(width) * sizeof(float));
    double squares = 0;
    double fourths = 0;
    for (std::int64_t i = 0; i < a.tokens; i += kChunk) {
      const std::int64_t count = a.tokens - i < kChunk ? a.tokens - i : kChunk;
      copy_rows(a.q + i * a.stride, a.stride, count, a.dim_head, width, rows);
      float* out = a.factors + i * width;
      multiply(rows, count, width, lower, out);
      if (!a.statistics) continue;
      add_gram(out, count, width, partial);
      add_norms(out, count, width, total, squares, fourths);
      if ((i + count) % kFold == 0) fold(partial, gram, area);
    }
    if (!a.statistics) return;
    fold(partial, gram, area);
    // sum_ij J_ij = |sum_i F_i|^2, sum_ij J_ij^2 = |F^T F|^2; the diagonal J_ii = |F_i|^2 is left out.
    double all = 0;
    double all_squares = 0;
    for (std::int64_t d = 0; d < width; ++d) {
      all += static_cast<double>(total[d]) * static_cast<double>(total[d]);
      for (std::int64_t e = d + 1; e < width; ++e)
        all_squares += 2 * gram[d * width + e] * gram[d * width + e];
      all_squares += gram[d * width + d] * gram[d * width + d];
    }
    a.sum = all - squares;
    a.sum_squares = all_squares - fourths;
  }

  static void energies(const LongEnergyArgs& a) {
    const std::int64_t width = long_factor_width(a.dim_head);
    const std::int64_t words = token_stride(a.tokens) / 64;
    double* z = a.scratch;
    double count = 0;
    for (std::int64_t d = 0; d < width; ++d) z[d] = 0.0;
    for (std::int64_t w = 0; w < words; ++w) {
      count += static_cast<double>(__builtin_popcountll(a.spins[w]));
      for (std::uint64_t left = a.spins[w]; left != 0; left &= left - 1) {
        const float* row = a.factors + (w * 64 + __builtin_ctzll(left)) * width;
        for (std::int64_t d = 0; d < width; ++d) z[d] += static_cast<double>(row[d]);
      }
    }
    const double constant = a.shift * (count - 1.0);
    for (std::int64_t w = 0; w < words; ++w) {
      double* out = a.energies + w * 64;
      for (std::int64_t k = 0; k < 64; ++k) out[k] = 0.0;
      for (std::uint64_t left = a.spins[w]; left != 0; left &= left - 1) {
        const std::int64_t i = w * 64 + __builtin_ctzll(left);
        const float* row = a.factors + i * width;
        double lanes[8] = {};
        for (std::int64_t d = 0; d < width; d += 8) {
          for (std::int64_t l = 0; l < 8; ++l) {
            const auto f = static_cast<double>(row[d + l]);
            lanes[l] += f * (z[d + l] - f);
          }
        }
        const double sum = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
                           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
        a.energies[i] = -(a.scale * sum + constant + a.fields[i]);
      }
    }
  }
};

}  // namespace
}  // namespace qama::ops
