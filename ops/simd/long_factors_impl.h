// The code of long_factors.h, once for all targets: a template on the xsimd architecture, included only by
// kernels_<target>.cpp (see kernels_impl.h for the rules).
#pragma once

#include <cstdint>
#include <cstring>
#include <xsimd/xsimd.hpp>

#include "ops/simd/kernels_impl.h"
#include "ops/simd/long_factors.h"

namespace qama::ops {
namespace {

template <class Arch>
struct LongFactors {
  using F = xsimd::batch<float, Arch>;
  static constexpr std::int64_t kF = static_cast<std::int64_t>(F::size);
  static constexpr std::int64_t kBlock = 8;   ///< rows of a register block, one vector wide
  static constexpr std::int64_t kChunk = 64;  ///< rows of the input that stay in the first cache
  static constexpr std::int64_t kFold =
      512;  ///< rows that are added up in float before double takes over

  /// The lower triangle of X^T X, whole vectors wide: gram += sum_i x_i x_i^T over `rows` <= kChunk rows.
  static void add_gram(const float* x, std::int64_t rows, std::int64_t width, float* gram) {
    for (std::int64_t r0 = 0; r0 < width; r0 += kBlock) {
      for (std::int64_t c = 0; c < r0 + kBlock; c += kF) {
        F acc[kBlock];
        for (std::int64_t r = 0; r < kBlock; ++r)
          acc[r] = F::load_aligned(gram + (r0 + r) * width + c);
        const float* row = x;
        for (std::int64_t i = 0; i < rows; ++i, row += width) {
          const F column = F::load_aligned(row + c);
          for (std::int64_t r = 0; r < kBlock; ++r)
            acc[r] = xsimd::fma(F(row[r0 + r]), column, acc[r]);
        }
        for (std::int64_t r = 0; r < kBlock; ++r) acc[r].store_aligned(gram + (r0 + r) * width + c);
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
    for (; i + kBlock <= rows; i += kBlock) {
      for (std::int64_t c = 0; c < width; c += kF) {
        F acc[kBlock];
        for (F& one : acc) one = F(0.0F);
        // Rows of L above column c are 0 there.
        for (std::int64_t e = c; e < width; ++e) {
          const F column = F::load_aligned(lower + e * width + c);
          for (std::int64_t r = 0; r < kBlock; ++r)
            acc[r] = xsimd::fma(F(x[(i + r) * width + e]), column, acc[r]);
        }
        for (std::int64_t r = 0; r < kBlock; ++r) acc[r].store_aligned(out + (i + r) * width + c);
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
    for (std::int64_t i = 0; i < rows; ++i, x += width) {
      F sum(0.0F);
      for (std::int64_t c = 0; c < width; c += kF) {
        const F v = F::load_aligned(x + c);
        sum = xsimd::fma(v, v, sum);
        (F::load_aligned(total + c) + v).store_aligned(total + c);
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
    Kernels<Arch>::cholesky(gram, a.dim_head, width);
    for (std::int64_t e = 0; e < width; ++e) {
      for (std::int64_t d = 0; d < width; ++d) {
        const bool inside = d <= e && e < a.dim_head;
        lower[e * width + d] = inside ? static_cast<float>(gram[e * width + d]) : 0.0F;
      }
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
      for (std::int64_t e = 0; e < d; ++e)
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
