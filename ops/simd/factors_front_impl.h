// The code of factors_front.h, once for all targets: a template on the xsimd architecture, included
// only by kernels_<target>.cpp (see kernels_impl.h for the rules).
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "ops/simd/factors_front.h"
#include "ops/simd/kernels_impl.h"

namespace qama::ops {
namespace {

template <class Arch>
struct FactorsFront {
  using F = xsimd::batch<float, Arch>;
  static constexpr std::int64_t kF = static_cast<std::int64_t>(F::size);
  using D = xsimd::batch<double, WholeFloats<Arch>>;
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

  /// Whether triangles are cut at half vectors: on AVX-512, where a half costs half, a tenth of the
  /// work.
#ifdef __AVX512F__
  static constexpr bool kHalves = kF == 16;
#else
  static constexpr bool kHalves = false;
#endif

  template <std::int64_t... k, class Step>
  [[gnu::always_inline]] static void in_turn(std::integer_sequence<std::int64_t, k...> /*numbers*/,
                                             const Step& step) {
    (step(std::integral_constant<std::int64_t, k>()), ...);
  }

  /// Rows of an input where they lie: row i at data + i * stride, of any alignment.
  struct Rows {
    const float* data;
    std::int64_t stride, count;
  };

  /// A register block of X^T X, rows r0 .. and V vectors of columns c .., before which `half` adds
  /// half a vector: gram += sum_i x_i x_i^T. The sum begins at 0 and is added at the end, so that
  /// rounding grows with the length of a chunk and their number, not with all rows.
  template <std::int64_t V, bool half>
  [[gnu::noinline]] static void gram_block(const Rows& from, std::int64_t width, std::int64_t r0,
                                           std::int64_t c, float* gram) {
    // Loops over registers are expanded from a list of numbers: unrolled later, arrays of vectors
    // would live in memory.
    using Every = std::make_integer_sequence<std::int64_t, kBlock * V>;
    using Each [[maybe_unused]] = std::make_integer_sequence<std::int64_t, half ? kBlock : 0>;
    constexpr std::int64_t kVectors = V > 0 ? V : 1;
    float* to = gram + r0 * width + c;
    F acc[kBlock * kVectors];
    in_turn(
        Every(), [&](auto k) __attribute__((always_inline)) { acc[k] = F(0.0F); });
#ifdef __AVX512F__
    __m256 begin[kBlock];
    in_turn(
        Each(), [&](auto r) __attribute__((always_inline)) { begin[r] = _mm256_setzero_ps(); });
#endif
    const float* factors = from.data + r0;
    const float* columns = from.data + c;
    for (std::int64_t i = 0; i < from.count; ++i, factors += from.stride, columns += from.stride) {
      in_turn(
          Every(), [&](auto k) __attribute__((always_inline)) {
            acc[k] = xsimd::fma(F(factors[k / kVectors]),
                                F::load_unaligned(columns + k % kVectors * kF), acc[k]);
          });
#ifdef __AVX512F__
      in_turn(
          Each(), [&](auto r) __attribute__((always_inline)) {
            begin[r] =
                _mm256_fmadd_ps(_mm256_set1_ps(factors[r]), _mm256_loadu_ps(columns - 8), begin[r]);
          });
#endif
    }
    in_turn(
        Every(), [&](auto k) __attribute__((always_inline)) {
          float* at = to + k / kVectors * width + k % kVectors * kF;
          (F::load_aligned(at) + acc[k]).store_aligned(at);
        });
#ifdef __AVX512F__
    in_turn(
        Each(), [&](auto r) __attribute__((always_inline)) {
          float* at = to + r * width - 8;
          _mm256_store_ps(at, _mm256_add_ps(_mm256_load_ps(at), begin[r]));
        });
#endif
  }

  /// The upper triangle of X^T X: gram += sum_i x_i x_i^T over at most kChunk rows. What lies below
  /// the diagonal is of no meaning.
  static void add_gram(const Rows& x, std::int64_t width, float* gram) {
    for (std::int64_t r0 = 0; r0 < width; r0 += kBlock) {
      std::int64_t c = r0 / kF * kF;
      if (kHalves && r0 % kF != 0) {
        if constexpr (kHalves) {
          c = r0 + kBlock;
          const std::int64_t left = (width - c) / kF;
          const std::int64_t wide = left == 3 || left == 1 ? 1 : left == 0 ? 0 : 2;
          if (wide == 0) gram_block<0, true>(x, width, r0, c, gram);
          if (wide == 1) gram_block<1, true>(x, width, r0, c, gram);
          if (wide == 2) gram_block<2, true>(x, width, r0, c, gram);
          c += wide * kF;
        }
      }
      while (c < width) {
        const std::int64_t left = (width - c) / kF;
        const std::int64_t wide =
            left > kWide ? (left == kWide + 1 && kWide > 1 ? 2 : kWide) : left;
        if (wide == 1) gram_block<1, false>(x, width, r0, c, gram);
        if constexpr (kWide > 1) {
          if (wide == 2) gram_block<2, false>(x, width, r0, c, gram);
          if (wide == 3) gram_block<3, false>(x, width, r0, c, gram);
        }
        c += wide * kF;
      }
    }
  }

  /// U with U^T U = M in M's upper triangle, in place; what lies below the diagonal is then of no
  /// meaning. By blocks of rows, each first brought up to date by all rows above. M is positive
  /// semidefinite but for what float rounded in its sums. Where rows depend on those before them
  /// (fewer tokens than dimensions, keys that repeat) pivot and row are such rounding alone, and a
  /// row divided by the root of a much smaller pivot would be anything. Then it returns false,
  /// unless the diagonal is `raised` by what rounding may amount to: M is definite then, and J
  /// changes by no more than rounding.
  static bool cholesky(double* m, std::int64_t count, std::int64_t width, bool raised) {
    double largest = 0;
    for (std::int64_t d = 0; d < count; ++d) {
      largest = m[d * width + d] > largest ? m[d * width + d] : largest;
    }
    // The norm of a matrix of rounding errors: twice the root of its size times one of them.
    const double rounding = largest * __builtin_sqrt(static_cast<double>(count)) * 0x1p-23;
    const double tiny = raised ? rounding / 16 : rounding;
    for (std::int64_t d = 0; d < count && raised; ++d) m[d * width + d] += rounding;
    for (std::int64_t i0 = 0; i0 < width; i0 += kBlock) {
      for (std::int64_t c = i0 / kD * kD; c < width; c += kD) {
        D acc[kBlock];
        for (std::int64_t r = 0; r < kBlock; ++r)
          acc[r] = D::load_aligned(m + (i0 + r) * width + c);
        for (std::int64_t j = 0; j < i0; ++j) {
          const double* above = m + j * width;
          const D column = D::load_aligned(above + c);
          for (std::int64_t r = 0; r < kBlock; ++r)
            acc[r] = xsimd::fnma(D(above[i0 + r]), column, acc[r]);
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
            xsimd::fnma(factor, D::load_aligned(above + c), D::load_aligned(row + c))
                .store_aligned(row + c);
          }
        }
        // A NaN must come through, so that it is found: the test is not written as pivot > tiny.
        const double pivot = row[i];
        const bool dependent = pivot <= tiny;
        if (dependent && !raised && i < count) return false;
        const double root = dependent ? 0.0 : __builtin_sqrt(pivot);
        const D inverse(dependent ? 0.0 : 1.0 / root);
        for (std::int64_t c = from; c < width; c += kD)
          (D::load_aligned(row + c) * inverse).store_aligned(row + c);
        row[i] = root;
      }
    }
    return true;
  }

  /// Adds a Gram matrix of float to one of double, which it begins if it is the `first`, and
  /// empties it. Only what lies from the diagonal's blocks of kBlock on.
  static void fold(float* from, double* to, std::int64_t width, bool first) {
    for (std::int64_t r = 0; r < width; ++r, from += width, to += width) {
      const std::int64_t c = r / kBlock * kBlock;
      if (first) {
        for (std::int64_t k = c; k < width; ++k) to[k] = static_cast<double>(from[k]);
      } else {
        for (std::int64_t k = c; k < width; ++k) to[k] += static_cast<double>(from[k]);
      }
      for (std::int64_t k = c; k < width; ++k) from[k] = 0.0F;
    }
  }

  /// L = (scale U)^T in float, 0 above its diagonal. `narrow` [width][width] is scratch.
  static void transpose(const double* upper, double scale, std::int64_t width, float* narrow,
                        float* lower) {
    using Four = float __attribute__((vector_size(16), aligned(4)));
    for (std::int64_t d = 0; d < width; ++d) {
      for (std::int64_t e = d / 4 * 4; e < d; ++e) narrow[d * width + e] = 0.0F;
      for (std::int64_t e = d; e < width; ++e)
        narrow[d * width + e] = static_cast<float>(upper[d * width + e] * scale);
    }
    std::memset(lower, 0, static_cast<std::size_t>(width * width) * sizeof(float));
    for (std::int64_t d = 0; d < width; d += 4) {
      for (std::int64_t e = d; e < width; e += 4) {
        Four row[4];
        for (std::int64_t k = 0; k < 4; ++k)
          row[k] = *reinterpret_cast<const Four*>(narrow + (d + k) * width + e);
        const Four a = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
        const Four b = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
        const Four c = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
        const Four f = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
        float* to = lower + e * width + d;
        *reinterpret_cast<Four*>(to) = __builtin_shufflevector(a, b, 0, 1, 4, 5);
        *reinterpret_cast<Four*>(to + width) = __builtin_shufflevector(a, b, 2, 3, 6, 7);
        *reinterpret_cast<Four*>(to + 2 * width) = __builtin_shufflevector(c, f, 0, 1, 4, 5);
        *reinterpret_cast<Four*>(to + 3 * width) = __builtin_shufflevector(c, f, 2, 3, 6, 7);
      }
    }
  }

  /// |M|^2 of a symmetric matrix, from its upper triangle.
  static double squared_norm(const double* m, std::int64_t width) {
    double diagonal = 0;
    double beside[kBlock] = {};
    for (std::int64_t d = 0; d < width; ++d, m += width) {
      const std::int64_t blocks = (d / kBlock + 1) * kBlock;
      diagonal += m[d] * m[d];
      for (std::int64_t e = d + 1; e < blocks; ++e) beside[e % kBlock] += m[e] * m[e];
      for (std::int64_t e = blocks; e < width; e += kBlock) {
        for (std::int64_t l = 0; l < kBlock; ++l) beside[l] += m[e + l] * m[e + l];
      }
    }
    for (const double lane : beside) diagonal += 2 * lane;
    return diagonal;
  }

  /// Rows `i` to `i + count` of the caller's matrix: where they are, or in `room`, width apart,
  /// with zeros behind dim_head.
  static Rows rows_of(const float* from, std::int64_t stride, std::int64_t i, std::int64_t count,
                      std::int64_t dim_head, std::int64_t width, float* room) {
    from += i * stride;
    if (dim_head == width) return {from, stride, count};
    for (std::int64_t k = 0; k < count; ++k, from += stride) {
      float* to = room + k * width;
      std::memcpy(to, from, static_cast<std::size_t>(dim_head) * sizeof(float));
      std::memset(to + dim_head, 0, static_cast<std::size_t>(width - dim_head) * sizeof(float));
    }
    return {room, width, count};
  }

  /// out = x L for one chunk of rows; `lower` [width][width] row-major, 0 above its diagonal.
  static void multiply(const Rows& from, std::int64_t width, const float* lower, float* out) {
    std::int64_t i = 0;
    for (; i + kTall <= from.count; i += kTall) {
      const float* x = from.data + i * from.stride;
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
              begin[r] = _mm256_fmadd_ps(_mm256_set1_ps(x[r * from.stride + e]), column, begin[r]);
            }
          }
          for (std::int64_t r = 0; r < kTall; ++r) acc[r] = F(_mm512_zextps256_ps512(begin[r]));
        }
#endif
        for (std::int64_t e = first; e < width; ++e) {
          const F column = F::load_aligned(lower + e * width + c);
          for (std::int64_t r = 0; r < kTall; ++r)
            acc[r] = xsimd::fma(F(x[r * from.stride + e]), column, acc[r]);
        }
        for (std::int64_t r = 0; r < kTall; ++r) acc[r].store_aligned(out + (i + r) * width + c);
      }
    }
    for (; i < from.count; ++i) {
      const float* x = from.data + i * from.stride;
      for (std::int64_t c = 0; c < width; c += kF) {
        F acc(0.0F);
        for (std::int64_t e = c; e < width; ++e) {
          acc = xsimd::fma(F(x[e]), F::load_aligned(lower + e * width + c), acc);
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
    float* room = lower + area;
    const auto chunk = [&](std::int64_t i) {
      return a.tokens - i < kChunk ? a.tokens - i : kChunk;
    };
    // Adds up rows of Gram matrices, of the chunk that `rows_at(i)` gives; double takes over after
    // every kFold.
    const auto gram_of = [&](const auto& rows_at) {
      std::memset(partial, 0, static_cast<std::size_t>(area) * sizeof(float));
      for (std::int64_t i = 0; i < a.tokens; i += kChunk) {
        add_gram(rows_at(i), width, partial);
        if (i + kChunk >= a.tokens || (i + kChunk) % kFold == 0)
          fold(partial, gram, width, i < kFold);
      }
    };

    const auto gram_of_keys = [&] {
      gram_of([&](std::int64_t i) {
        return rows_of(a.k, a.stride, i, chunk(i), a.dim_head, width, room);
      });
    };
    gram_of_keys();
    const bool dependent = a.tokens < a.dim_head;
    if (!cholesky(gram, a.dim_head, width, dependent)) {
      gram_of_keys();
      cholesky(gram, a.dim_head, width, true);
    }
    transpose(gram, __builtin_sqrt(1.0 / (2.0 * static_cast<double>(a.dim_head))), width, partial,
              lower);

    const auto factors_at = [&](std::int64_t i) {
      float* out = a.factors + i * width;
      multiply(rows_of(a.q, a.stride, i, chunk(i), a.dim_head, width, room), width, lower, out);
      return Rows{out, width, chunk(i)};
    };
    if (!a.statistics) {
      for (std::int64_t i = 0; i < a.tokens; i += kChunk) factors_at(i);
      return;
    }
    alignas(64) float total[kMaxLongDimHead];
    std::memset(total, 0, static_cast<std::size_t>(width) * sizeof(float));
    double squares = 0;
    double fourths = 0;
    gram_of([&](std::int64_t i) {
      const Rows factors = factors_at(i);
      add_norms(factors.data, factors.count, width, total, squares, fourths);
      return factors;
    });
    // sum_ij J_ij = |sum_i F_i|^2, sum_ij J_ij^2 = |F^T F|^2; the diagonal J_ii = |F_i|^2 is left
    // out.
    double all = 0;
    for (std::int64_t d = 0; d < width; ++d)
      all += static_cast<double>(total[d]) * static_cast<double>(total[d]);
    a.sum = all - squares;
    a.sum_squares = squared_norm(gram, width) - fourths;
  }

  /// kD floats as double.
  static D wide(const float* from) {
#if defined(__AVX512F__)
    return D(_mm512_cvtps_pd(_mm256_loadu_ps(from)));
#elif defined(__AVX__)
    return D(_mm256_cvtps_pd(_mm_loadu_ps(from)));
#elif defined(__SSE2__)
    return D(
        _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)))));
#elif defined(__aarch64__)
    return D(vcvt_f64_f32(vld1_f32(from)));
#else
    const double both[2] = {from[0], from[1]};
    return D::load_unaligned(both);
#endif
  }

  /// Calls visit(i) for every selected token in order.
  template <class Visit>
  [[gnu::always_inline]] static void each_selected(const LongEnergyArgs& a, const Visit& visit) {
    const std::int64_t words = token_stride(a.tokens) / 64;
    for (std::int64_t w = 0; w < words; ++w) {
      for (std::uint64_t left = a.spins[w]; left != 0; left &= left - 1)
        visit(w * 64 + __builtin_ctzll(left));
    }
  }

  /// z = sum_i s_i F_i of V vectors of columns.
  template <std::int64_t V>
  static void sum_selected(const LongEnergyArgs& a, std::int64_t width, std::int64_t c) {
    using Every = std::make_integer_sequence<std::int64_t, V>;
    D sum[V];
    in_turn(
        Every(), [&](auto v) __attribute__((always_inline)) { sum[v] = D(0.0); });
    each_selected(
        a, [&](std::int64_t i) __attribute__((always_inline)) {
          const float* row = a.factors + i * width + c;
          in_turn(
              Every(), [&](auto v)
                           __attribute__((always_inline)) { sum[v] += wide(row + v * kD); });
        });
    in_turn(
        Every(), [&](auto v) __attribute__((always_inline)) {
          sum[v].store_unaligned(a.scratch + c + v * kD);
        });
  }

  static void energies(const LongEnergyArgs& a) {
    const std::int64_t width = long_factor_width(a.dim_head);
    const std::int64_t words = token_stride(a.tokens) / 64;
    const double* z = a.scratch;
    std::int64_t column = 0;
    for (; column + 8 * kD <= width; column += 8 * kD) sum_selected<8>(a, width, column);
    for (; column < width; column += 16) sum_selected<16 / kD>(a, width, column);
    double count = 0;
    for (std::int64_t w = 0; w < words; ++w)
      count += static_cast<double>(__builtin_popcountll(a.spins[w]));
    const double constant = a.shift * (count - 1.0);
    std::memset(a.energies, 0, static_cast<std::size_t>(words) * 64 * sizeof(double));
    each_selected(
        a, [&](std::int64_t i) __attribute__((always_inline)) {
          const float* row = a.factors + i * width;
          D even(0.0);
          D odd(0.0);
          for (std::int64_t d = 0; d < width; d += 2 * kD) {
            const D f = wide(row + d);
            const D g = wide(row + d + kD);
            even = xsimd::fma(f, D::load_unaligned(z + d) - f, even);
            odd = xsimd::fma(g, D::load_unaligned(z + d + kD) - g, odd);
          }
          a.energies[i] = -(a.scale * xsimd::reduce_add(even + odd) + constant + a.fields[i]);
        });
  }
};

}  // namespace
}  // namespace qama::ops
