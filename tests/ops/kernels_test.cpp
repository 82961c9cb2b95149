// Every hand-written kernel on every target of this machine against its plain reference, at sizes
// around the vectors' widths. A kernel is added to this file by one TEST_P.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "hal/base/aligned.h"
#include "ops/attention/softmax.h"
#include "ops/reference/reference.h"
#include "ops/simd/factors_front.h"
#include "ops/simd/kernels.h"

namespace qama::test {
namespace {

using namespace qama::ops;

class Kernels : public testing::TestWithParam<const KernelTable*> {
 protected:
  std::vector<float> floats(std::int64_t count, double deviation = 1.0) {
    std::normal_distribution<double> normal(0.1, deviation);
    std::vector<float> out(static_cast<std::size_t>(count));
    for (float& v : out) v = static_cast<float>(normal(random_));
    return out;
  }
  const KernelTable& kernels() const { return *GetParam(); }
  const KernelTable& plain() const { return reference_kernels(); }
  std::mt19937_64 random_{42};
};

template <typename T>
void expect_near(const std::vector<T>& got, const std::vector<T>& expected, double bound) {
  ASSERT_EQ(got.size(), expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_TRUE(std::isfinite(static_cast<double>(got[i]))) << i;
    worst =
        std::max(worst, std::fabs(static_cast<double>(got[i]) - static_cast<double>(expected[i])));
  }
  EXPECT_LE(worst, bound);
}

/// Below, at, above and between the widths of 4, 8 and 16 lanes.
constexpr std::int64_t kSizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 49, 63, 64, 65, 100};

TEST_P(Kernels, LayerNorm) {
  for (const std::int64_t dim : kSizes) {
    for (const bool residual : {false, true}) {
      for (const bool addend : {false, true}) {
        SCOPED_TRACE(std::to_string(dim) + (residual ? " residual" : "") +
                     (addend ? " addend" : ""));
        const std::int64_t rows = 3;
        auto x = floats(rows * dim, 3.0);
        auto x_plain = x;
        const auto delta = floats(rows * dim);
        const auto plus = floats(rows * dim);
        const auto gamma = floats(dim);
        const auto beta = floats(dim);
        std::vector<float> y(x.size());
        std::vector<float> y_plain(x.size());
        LayerNormArgs a{.rows = rows,
                        .dim = dim,
                        .x = x.data(),
                        .residual = residual ? delta.data() : nullptr,
                        .gamma = gamma.data(),
                        .beta = beta.data(),
                        .addend = addend ? plus.data() : nullptr,
                        .y = y.data(),
                        .eps = 1e-5F};
        kernels().layer_norm(a);
        a.x = x_plain.data();
        a.y = y_plain.data();
        plain().layer_norm(a);
        // A dim of 2 or 3 may have rows of nearly equal entries, where 1 / sqrt(var) is large.
        expect_near(y, y_plain, dim < 8 ? 2e-4 : 2e-6);
        EXPECT_EQ(x, x_plain) << "the residual sum is exact, and nothing else is written";
      }
    }
  }
}

TEST_P(Kernels, LayerNormInPlace) {
  const std::int64_t dim = 37;
  auto x = floats(2 * dim);
  auto expected = x;
  const auto gamma = floats(dim);
  const auto beta = floats(dim);
  LayerNormArgs a{.rows = 2,
                  .dim = dim,
                  .x = x.data(),
                  .gamma = gamma.data(),
                  .beta = beta.data(),
                  .y = x.data(),
                  .eps = 1e-5F};
  kernels().layer_norm(a);
  a.x = a.y = expected.data();
  plain().layer_norm(a);
  expect_near(x, expected, 2e-6);
}

TEST_P(Kernels, LayerNormOfAConstantRowIsBeta) {
  const std::vector<float> gamma(19, 2.0F);
  const auto beta = floats(19);
  std::vector<float> x(19, 1234.5F);
  std::vector<float> y(19);
  kernels().layer_norm({.rows = 1,
                        .dim = 19,
                        .x = x.data(),
                        .gamma = gamma.data(),
                        .beta = beta.data(),
                        .y = y.data(),
                        .eps = 1e-5F});
  expect_near(y, beta,
              0.1);  // the mean of 19 equal floats is off by an ulp of 1234, times 1 / sqrt(eps)
}

TEST_P(Kernels, MeanRows) {
  for (const std::int64_t dim : kSizes) {
    for (const std::int64_t rows : {1, 2, 49}) {
      const auto x = floats(rows * dim);
      std::vector<float> y(static_cast<std::size_t>(dim));
      std::vector<float> expected(y.size());
      kernels().mean_rows({.rows = rows, .dim = dim, .x = x.data(), .y = y.data()});
      plain().mean_rows({.rows = rows, .dim = dim, .x = x.data(), .y = expected.data()});
      expect_near(y, expected, 1e-6);
    }
  }
}

TEST_P(Kernels, SoftmaxHead) {
  for (const std::int64_t tokens : kSizes) {
    for (const std::int64_t dim_head : {1, 7, 8, 11, 24}) {
      SCOPED_TRACE(std::to_string(tokens) + " x " + std::to_string(dim_head));
      const std::int64_t stride = 3 * dim_head + 2;
      const auto qkv = floats(tokens * stride, 2.0);
      std::vector<float> out(static_cast<std::size_t>(tokens * dim_head), -7.0F);
      std::vector<float> expected = out;
      AlignedBuffer<float> scratch(
          static_cast<std::size_t>(softmax_scratch_floats(tokens, dim_head)));
      SoftmaxHeadArgs a{.tokens = tokens,
                        .dim_head = dim_head,
                        .q = qkv.data(),
                        .k = qkv.data() + dim_head,
                        .v = qkv.data() + 2 * dim_head,
                        .stride = stride,
                        .scale = 0.5F,
                        .out = out.data(),
                        .out_stride = dim_head,
                        .scratch = scratch.data()};
      kernels().softmax_head(a);
      a.out = expected.data();
      plain().softmax_head(a);
      expect_near(out, expected, 3e-5);
    }
  }
}

TEST_P(Kernels, PartsOfSoftmaxAttentionAreTheWholeBitForBit) {
  for (const std::int64_t tokens : {1, 5, 47, 64, 197}) {
    for (const std::int64_t dim_head : {5, 16, 64}) {
      SCOPED_TRACE(std::to_string(tokens) + " x " + std::to_string(dim_head));
      const SoftmaxAttention op{2, dim_head, &kernels()};
      const auto qkv = floats(tokens * 3 * 2 * dim_head, 2.0);
      std::vector<float> out(static_cast<std::size_t>(tokens * 2 * dim_head), -7.0F);
      std::vector<float> parts = out;
      AlignedBuffer<float> scratch(
          static_cast<std::size_t>(softmax_scratch_floats(tokens, dim_head)));
      op.run(tokens, qkv.data(), out.data(), scratch.data());
      for (std::int64_t head = 0; head < 2; ++head) {
        for (std::int64_t first = 0; first < tokens; first += 20) {
          op.run_queries(tokens, head, first, std::min<std::int64_t>(20, tokens - first),
                         qkv.data(), parts.data(), scratch.data());
        }
      }
      EXPECT_EQ(out, parts);
    }
  }
}

TEST_P(Kernels, SoftmaxOfHugeScoresDoesNotOverflow) {
  const std::vector<float> q{1000, 0, 1000, 1};  // per token: q, k, v, unused
  std::vector<float> qkv;
  for (int i = 0; i < 5; ++i) {
    qkv.insert(qkv.end(), {100.0F, static_cast<float>(100 * i), static_cast<float>(i)});
  }
  std::vector<float> out(5);
  AlignedBuffer<float> scratch(static_cast<std::size_t>(softmax_scratch_floats(5, 1)));
  kernels().softmax_head({.tokens = 5,
                          .dim_head = 1,
                          .q = qkv.data(),
                          .k = qkv.data() + 1,
                          .v = qkv.data() + 2,
                          .stride = 3,
                          .scale = 1.0F,
                          .out = out.data(),
                          .out_stride = 1,
                          .scratch = scratch.data()});
  for (const float v : out) EXPECT_FLOAT_EQ(v, 4.0F);  // the largest score has all the weight
}

/// Long heads: row-major factors, and J's sums without J, against the definition M = K^T K / 2D, J
/// = Q M Q^T. `qk`: rows of a query, a key and one number more. `bound`: of a coupling's error, as
/// a share of the largest J_ij or J_ii.
void expect_factors_front(const KernelTable& kernels, std::int64_t tokens, std::int64_t dim_head,
                          const std::vector<float>& qk, double bound) {
  const std::int64_t row = 2 * dim_head + 1;
  const std::int64_t width = long_factor_width(dim_head);
  AlignedBuffer<float> factors(static_cast<std::size_t>(tokens * width));
  AlignedBuffer<double> scratch(static_cast<std::size_t>(long_factor_scratch(dim_head)));
  std::fill(factors.data(), factors.data() + factors.size(), -1.0F);
  LongFactorArgs args;
  args.tokens = tokens;
  args.dim_head = dim_head;
  args.q = qk.data();
  args.k = qk.data() + dim_head;
  args.stride = row;
  args.factors = factors.data();
  args.scratch = scratch.data();
  args.statistics = true;
  kernels.qama_factors_factors(args);

  const auto at = [&](std::int64_t i, std::int64_t d) {
    return static_cast<double>(qk[static_cast<std::size_t>(i * row + d)]);
  };
  std::vector<double> gram(static_cast<std::size_t>(dim_head * dim_head));
  for (std::int64_t i = 0; i < tokens; ++i) {
    for (std::int64_t d = 0; d < dim_head; ++d) {
      for (std::int64_t e = 0; e < dim_head; ++e) {
        gram[static_cast<std::size_t>(d * dim_head + e)] +=
            at(i, dim_head + d) * at(i, dim_head + e) / (2.0 * static_cast<double>(dim_head));
      }
    }
  }
  double sum = 0;
  double squares = 0;
  double largest = 0;
  double worst = 0;
  std::vector<double> left(static_cast<std::size_t>(dim_head));
  for (std::int64_t i = 0; i < tokens; ++i) {
    for (std::int64_t e = 0; e < dim_head; ++e) {
      left[static_cast<std::size_t>(e)] = 0;
      for (std::int64_t d = 0; d < dim_head; ++d) {
        left[static_cast<std::size_t>(e)] +=
            at(i, d) * gram[static_cast<std::size_t>(d * dim_head + e)];
      }
    }
    for (std::int64_t j = 0; j < tokens; ++j) {
      double expected = 0;
      double got = 0;
      for (std::int64_t d = 0; d < dim_head; ++d)
        expected += left[static_cast<std::size_t>(d)] * at(j, d);
      for (std::int64_t d = 0; d < width; ++d) {
        got += static_cast<double>(factors[static_cast<std::size_t>(i * width + d)]) *
               static_cast<double>(factors[static_cast<std::size_t>(j * width + d)]);
      }
      largest = std::max(largest, std::fabs(expected));
      if (i == j) continue;
      worst = std::max(worst, std::fabs(got - expected));
      sum += expected;
      squares += expected * expected;
    }
    for (std::int64_t d = dim_head; d < width; ++d) {
      ASSERT_EQ(factors[static_cast<std::size_t>(i * width + d)], 0.0F);
    }
  }
  EXPECT_LE(worst, bound * largest);
  const double size = largest * static_cast<double>(tokens);
  EXPECT_NEAR(args.sum, sum, 1e-4 * size * std::sqrt(static_cast<double>(tokens)));
  EXPECT_NEAR(args.sum_squares, squares, 1e-4 * size * size);
}

// Sizes around a chunk of 64 rows and a fold of 512.
TEST_P(Kernels, QamaFactorsFront) {
  for (const std::int64_t tokens : {1, 2, 7, 63, 64, 65, 200, 513, 577}) {
    for (const std::int64_t dim_head : {1, 3, 8, 16, 17, 64}) {
      SCOPED_TRACE(std::to_string(tokens) + " x " + std::to_string(dim_head));
      expect_factors_front(kernels(), tokens, dim_head, floats(tokens * (2 * dim_head + 1)), 1e-5);
    }
  }
}

// Keys of fewer directions than dimensions: few tokens, few different ones, or a model narrower
// than its head. What is left of M is then rounding, of either sign and any size, which must not
// become part of J.
TEST_P(Kernels, QamaFactorsFrontOfDependentKeys) {
  for (const std::int64_t dim_head : {16, 33, 64}) {
    for (const std::int64_t rank : {1, 5, 15, 30}) {
      for (const std::int64_t tokens : {rank, std::int64_t{64}, std::int64_t{300}}) {
        for (const bool repeated : {false, true}) {
          if (rank >= dim_head) continue;
          SCOPED_TRACE(std::to_string(tokens) + " x " + std::to_string(dim_head) + ", rank " +
                       std::to_string(rank));
          const std::int64_t row = 2 * dim_head + 1;
          auto qk = floats(tokens * row);
          const auto directions = floats(rank * dim_head);
          for (std::int64_t i = 0; i < tokens; ++i) {
            const auto weights = floats(rank);
            for (std::int64_t d = 0; d < dim_head; ++d) {
              double key = 0;
              for (std::int64_t r = 0; r < rank; ++r) {
                const float weight =
                    repeated ? (i % rank == r ? 1.0F : 0.0F) : weights[static_cast<std::size_t>(r)];
                key += static_cast<double>(weight) *
                       static_cast<double>(directions[static_cast<std::size_t>(r * dim_head + d)]);
              }
              qk[static_cast<std::size_t>(i * row + dim_head + d)] = static_cast<float>(key);
            }
          }
          expect_factors_front(kernels(), tokens, dim_head, qk, 1e-4);
        }
      }
    }
  }
}

TEST_P(Kernels, QamaFactorsEnergies) {
  for (const std::int64_t tokens : {1, 2, 63, 64, 65, 300}) {
    for (const std::int64_t dim_head : {1, 8, 17, 64}) {
      SCOPED_TRACE(std::to_string(tokens) + " x " + std::to_string(dim_head));
      const std::int64_t width = long_factor_width(dim_head);
      const std::int64_t stride = token_stride(tokens);
      const auto values = floats(tokens * (width + 1));
      AlignedBuffer<float> factors(static_cast<std::size_t>(tokens * width));
      std::vector<double> fields(static_cast<std::size_t>(tokens));
      std::vector<std::uint64_t> spins(static_cast<std::size_t>(stride / 64));
      const auto selected = [](std::int64_t i) { return i * i % 7 < 3; };
      for (std::int64_t i = 0; i < tokens; ++i) {
        for (std::int64_t d = 0; d < dim_head; ++d) {
          factors[static_cast<std::size_t>(i * width + d)] =
              values[static_cast<std::size_t>(i * width + d)];
        }
        fields[static_cast<std::size_t>(i)] =
            static_cast<double>(values[static_cast<std::size_t>(tokens * width + i)]);
        if (selected(i)) spins[static_cast<std::size_t>(i / 64)] |= std::uint64_t{1} << (i % 64);
      }
      std::vector<double> energies(static_cast<std::size_t>(stride), -1.0);
      std::vector<double> scratch(static_cast<std::size_t>(width));
      const double scale = -0.75;
      const double shift = 0.25;
      kernels().qama_factors_energies({.tokens = tokens,
                                       .dim_head = dim_head,
                                       .factors = factors.data(),
                                       .fields = fields.data(),
                                       .spins = spins.data(),
                                       .scale = scale,
                                       .shift = shift,
                                       .energies = energies.data(),
                                       .scratch = scratch.data()});
      for (std::int64_t i = 0; i < stride; ++i) {
        double expected = 0;
        if (i < tokens && selected(i)) {
          expected = -fields[static_cast<std::size_t>(i)];
          for (std::int64_t j = 0; j < tokens; ++j) {
            if (j == i || !selected(j)) continue;
            double product = 0;
            for (std::int64_t d = 0; d < width; ++d) {
              product += static_cast<double>(factors[static_cast<std::size_t>(i * width + d)]) *
                         static_cast<double>(factors[static_cast<std::size_t>(j * width + d)]);
            }
            expected -= scale * product + shift;
          }
        }
        ASSERT_NEAR(energies[static_cast<std::size_t>(i)], expected,
                    1e-9 * static_cast<double>(tokens * width))
            << i;
      }
    }
  }
}

/// Factors are one way of many to write J: what counts is the product.
TEST_P(Kernels, QamaFactorsAndCouplings) {
  for (const std::int64_t tokens : kSizes) {
    for (const std::int64_t dim_head : {1, 3, 4, 8, 9, 16, 21}) {
      SCOPED_TRACE(std::to_string(tokens) + " x " + std::to_string(dim_head));
      const std::int64_t stride = token_stride(tokens);
      const std::int64_t row = 2 * dim_head + 1;
      const auto qk = floats(tokens * row);
      const float scale = dim_head % 2 == 0 ? 1.0F : -0.5F;
      const float shift = dim_head % 2 == 0 ? 0.0F : 0.25F;
      std::vector<float> factors(static_cast<std::size_t>(dim_head * stride), -1.0F);
      std::vector<double> scratch(
          static_cast<std::size_t>(qama_factor_scratch_doubles(tokens, dim_head)));
      kernels().qama_factors({.tokens = tokens,
                              .dim_head = dim_head,
                              .q = qk.data(),
                              .k = qk.data() + dim_head,
                              .stride = row,
                              .factors = factors.data(),
                              .scratch = scratch.data()});
      std::vector<float> couplings(static_cast<std::size_t>(tokens * stride), -1.0F);
      std::vector<float> sums(static_cast<std::size_t>(stride), -1.0F);
      kernels().qama_couplings({.tokens = tokens,
                                .dim_head = dim_head,
                                .factors = factors.data(),
                                .scale = scale,
                                .shift = shift,
                                .couplings = couplings.data(),
                                .sums = sums.data()});
      QamaMomentArgs moments{.tokens = tokens, .dim_head = dim_head, .factors = factors.data()};
      kernels().qama_moments(moments);

      // By the definition: J = (Q K^T)(K Q^T) / 2D.
      std::vector<float> expected(couplings.size());
      std::vector<float> expected_sums(sums.size());
      double sum = 0;
      double squares = 0;
      double largest = 0;
      for (std::int64_t i = 0; i < tokens; ++i) {
        for (std::int64_t j = 0; j < tokens; ++j) {
          if (i == j) continue;
          double value = 0;
          for (std::int64_t m = 0; m < tokens; ++m) {
            double left = 0;
            double right = 0;
            for (std::int64_t d = 0; d < dim_head; ++d) {
              const double k = qk[static_cast<std::size_t>(m * row + dim_head + d)];
              left += qk[static_cast<std::size_t>(i * row + d)] * k;
              right += qk[static_cast<std::size_t>(j * row + d)] * k;
            }
            value += left * right / (2.0 * static_cast<double>(dim_head));
          }
          sum += value;
          squares += value * value;
          value = value * scale + shift;
          expected[static_cast<std::size_t>(i * stride + j)] = static_cast<float>(value);
          expected_sums[static_cast<std::size_t>(j)] += static_cast<float>(std::fabs(value));
          largest = std::max(largest, std::fabs(value));
        }
      }
      expect_near(couplings, expected, 3e-6 * std::max(1.0, largest));
      expect_near(sums, expected_sums, 3e-6 * std::max(1.0, largest) * static_cast<double>(tokens));
      EXPECT_NEAR(moments.sum, sum, 1e-5 * (1 + std::sqrt(squares) * static_cast<double>(tokens)));
      EXPECT_NEAR(moments.sum_squares, squares, 1e-5 * (1 + squares));
      for (std::int64_t i = 0; i < tokens; ++i) {
        for (std::int64_t j = 0; j < i; ++j) {
          ASSERT_EQ(couplings[static_cast<std::size_t>(i * stride + j)],
                    couplings[static_cast<std::size_t>(j * stride + i)])
              << "symmetric to the bit";
        }
      }
    }
  }
}

/// Fewer tokens than columns, or equal tokens: K^T K is singular.
TEST_P(Kernels, QamaFactorsOfSingularGram) {
  const std::int64_t tokens = 6;
  const std::int64_t dim_head = 8;
  std::vector<float> qk(static_cast<std::size_t>(tokens * 16));
  for (std::size_t i = 0; i < qk.size(); ++i)
    qk[i] = static_cast<float>(i % 16) - 7.5F;  // all rows equal
  std::vector<float> factors(static_cast<std::size_t>(dim_head * token_stride(tokens)));
  std::vector<float> couplings(static_cast<std::size_t>(tokens * token_stride(tokens)));
  std::vector<float> sums(static_cast<std::size_t>(token_stride(tokens)));
  std::vector<double> scratch(
      static_cast<std::size_t>(qama_factor_scratch_doubles(tokens, dim_head)));
  for (const float scale : {1.0F, 0.0F}) {
    for (float& v : qk) v *= scale;
    kernels().qama_factors({.tokens = tokens,
                            .dim_head = dim_head,
                            .q = qk.data(),
                            .k = qk.data() + 8,
                            .stride = 16,
                            .factors = factors.data(),
                            .scratch = scratch.data()});
    kernels().qama_couplings({.tokens = tokens,
                              .dim_head = dim_head,
                              .factors = factors.data(),
                              .couplings = couplings.data(),
                              .sums = sums.data()});
    double dot = 0;
    for (int d = 0; d < 8; ++d) dot += (d - 7.5) * (d + 0.5) * scale * scale;
    const double expected = 6 * dot * dot / 16;
    EXPECT_NEAR(couplings[1], expected, 1e-5 * (1 + expected));
    EXPECT_NEAR(couplings[static_cast<std::size_t>(5 * token_stride(tokens) + 2)], expected,
                1e-5 * (1 + expected));
  }
}

TEST_P(Kernels, QamaQuantise) {
  for (const std::int64_t tokens : kSizes) {
    SCOPED_TRACE(tokens);
    const std::int64_t stride = token_stride(tokens);
    const auto couplings = floats(tokens * stride, 3.0);
    std::vector<std::int16_t> ints(couplings.size());
    std::vector<std::int16_t> expected_ints(couplings.size());
    const QamaQuantiseArgs a{.count = tokens * stride,
                             .couplings = couplings.data(),
                             .scale = 1700.0F,
                             .out = ints.data()};
    kernels().qama_quantise(a);
    QamaQuantiseArgs b = a;
    b.out = expected_ints.data();
    plain().qama_quantise(b);
    EXPECT_EQ(ints, expected_ints) << "rounding is exact";
  }
}

TEST_P(Kernels, QuantiseRoundsHalvesToEvenUpToTheEnds) {
  const std::vector<float> values{0.5F,      1.5F,      2.5F,  -0.5F, -1.5F,  -2.5F,
                                  32766.0F,  -32766.0F, 0.49F, 0.51F, -0.49F, 32765.5F,
                                  -32765.5F, 32766.4F,  -0.0F, 7.0F};
  std::vector<std::int16_t> out(16);
  kernels().qama_quantise(
      {.count = 16, .couplings = values.data(), .scale = 1.0F, .out = out.data()});
  EXPECT_EQ(out, (std::vector<std::int16_t>{0, 2, 2, 0, -2, -2, 32766, -32766, 0, 1, 0, 32766,
                                            -32766, 32766, 0, 7}));
}

TEST_P(Kernels, QamaEnergies) {
  for (const std::int64_t tokens : kSizes) {
    for (const std::int64_t dim_head : {1, 8, 13}) {
      SCOPED_TRACE(std::to_string(tokens) + " x " + std::to_string(dim_head));
      const std::int64_t stride = token_stride(tokens);
      auto factors = floats(dim_head * stride);
      std::vector<double> fields(static_cast<std::size_t>(stride), 0.0);
      for (std::int64_t i = 0; i < stride; ++i) {
        if (i < tokens) fields[static_cast<std::size_t>(i)] = std::sin(static_cast<double>(i));
        for (std::int64_t d = 0; d < dim_head && i >= tokens; ++d) {
          factors[static_cast<std::size_t>(d * stride + i)] = 0.0F;
        }
      }
      std::vector<std::uint64_t> spins(static_cast<std::size_t>(stride / 64));
      for (std::int64_t i = 0; i < tokens; ++i) {
        spins[static_cast<std::size_t>(i / 64)] |= (random_() & 1U) << (i % 64);
      }
      std::vector<double> energies(static_cast<std::size_t>(stride), -9.0);
      std::vector<double> expected(energies);
      std::vector<double> scratch(energies.size());
      QamaEnergyArgs a{.tokens = tokens,
                       .dim_head = dim_head,
                       .factors = factors.data(),
                       .fields = fields.data(),
                       .spins = spins.data(),
                       .scale = 1.25,
                       .shift = -0.5,
                       .energies = energies.data(),
                       .scratch = scratch.data()};
      kernels().qama_energies(a);
      a.energies = expected.data();
      plain().qama_energies(a);
      expect_near(energies, expected, 1e-10);
    }
  }
}

TEST_P(Kernels, QamaProject) {
  for (const std::int64_t dim : kSizes) {
    for (const std::int64_t heads : {1, 8}) {
      const std::int64_t tokens = 5;
      std::vector<double> energies(static_cast<std::size_t>(heads * token_stride(tokens)));
      for (double& e : energies) e = static_cast<double>(random_() % 1000) / 100 - 5;
      const auto table = floats(heads * dim);
      const auto bias = floats(dim);
      std::vector<float> out(static_cast<std::size_t>(tokens * dim));
      std::vector<float> expected(out);
      QamaProjectArgs a{.tokens = tokens,
                        .heads = heads,
                        .dim = dim,
                        .energies = energies.data(),
                        .table = table.data(),
                        .bias = bias.data(),
                        .out = out.data()};
      kernels().qama_project(a);
      a.out = expected.data();
      plain().qama_project(a);
      expect_near(out, expected, 2e-5);
    }
  }
}

TEST_P(Kernels, AttendToRanges) {
  for (const std::int64_t keys : kSizes) {
    for (const std::int64_t dim_head : {1, 7, 8, 19}) {
      const auto q = floats(keys * dim_head);
      const auto k = floats(keys * dim_head);
      const auto v = floats(keys * dim_head);
      const std::int64_t middle = keys / 2;
      const KeyRange all[] = {{0, keys + 5, kEveryKey}};
      const KeyRange band[] = {{0, 1, kEveryKey}, {1, keys, 3}};
      const KeyRange two[] = {{0, middle, kEveryKey}, {middle, keys, kOtherKeys}};
      for (const auto& [ranges, count, first] : {std::tuple{all, 1, std::int64_t{0}},
                                                 {band, 2, std::int64_t{1}},
                                                 {two, 2, std::int64_t{0}}}) {
        if (first >= keys || (ranges == two && keys == 1)) continue;
        SCOPED_TRACE(std::to_string(keys) + " keys of " + std::to_string(dim_head));
        AttendArgs a;
        a.queries = keys - first;
        a.keys = keys;
        a.dim_head = dim_head;
        a.q = q.data() + first * dim_head;
        a.k = k.data();
        a.v = v.data();
        a.q_stride = a.k_stride = a.v_stride = a.out_stride = dim_head;
        a.position = first;
        a.ranges = ranges;
        a.range_count = count;
        a.scale = 0.4F;
        std::vector<float> scratch(
            static_cast<std::size_t>(softmax_scratch_floats(keys, dim_head)));
        a.scratch = scratch.data();
        std::vector<float> out(static_cast<std::size_t>(a.queries * dim_head));
        std::vector<float> sums(static_cast<std::size_t>(a.queries));
        a.out = out.data();
        a.log_sum = sums.data();
        kernels().attend(a);
        auto out_plain = out;
        auto sums_plain = sums;
        a.out = out_plain.data();
        a.log_sum = sums_plain.data();
        plain().attend(a);
        expect_near(out, out_plain, 2e-6);
        expect_near(sums, sums_plain, 4e-6);
      }
    }
  }
}

TEST_P(Kernels, Product) {
  for (const std::int64_t columns : kSizes) {
    for (const std::int64_t rows : {1, 3, 4, 9}) {
      for (const bool transposed : {false, true}) {
        SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(columns));
        const std::int64_t inner = 13;
        const auto a = floats(rows * inner);
        const auto b = floats(inner * (columns + 2));
        auto c = floats(rows * (columns + 1));
        auto c_plain = c;
        ProductArgs args{rows,
                         inner,
                         columns,
                         a.data(),
                         transposed ? 1 : inner,
                         transposed ? rows : 1,
                         b.data(),
                         columns + 2,
                         c.data(),
                         columns + 1,
                         transposed};
        kernels().product(args);
        args.c = c_plain.data();
        plain().product(args);
        expect_near(c, c_plain, 5e-6);
      }
    }
  }
}

TEST_P(Kernels, RowMaxAndExpRows) {
  for (const std::int64_t columns : kSizes) {
    SCOPED_TRACE(columns);
    auto x = floats(3 * columns, 2.0);
    for (float& value : x) value -= 5.0F;  // all below 0: a vector's empty lanes must not win
    std::vector<float> largest(3), largest_plain(3);
    kernels().row_max({3, columns, x.data(), largest.data()});
    plain().row_max({3, columns, x.data(), largest_plain.data()});
    EXPECT_EQ(largest, largest_plain);
    auto x_plain = x;
    kernels().exp_rows({3, columns, x.data(), largest.data(), 1e-4F});
    plain().exp_rows({3, columns, x_plain.data(), largest.data(), 1e-4F});
    expect_near(x, x_plain, 3e-7);
  }
}

// NEON of 32-bit ARM takes numbers below 2^-126 for 0 and gives 0 for them. That must be all: the
// difference is below the smallest normal number for every number that is added, and what is above
// stays.
TEST_P(Kernels, NumbersBelowTheNormalOnesAreKeptOrAreZero) {
  constexpr float kTiny = 0x1p-130F;
  constexpr double kSmallestNormal = 0x1p-126;
  const std::int64_t rows = 9, dim = 33;
  std::vector<float> x(static_cast<std::size_t>(rows * dim), kTiny);
  x[0] = 1.0F;
  std::vector<float> mean(static_cast<std::size_t>(dim));
  std::vector<float> expected(mean.size());
  kernels().mean_rows({.rows = rows, .dim = dim, .x = x.data(), .y = mean.data()});
  plain().mean_rows({.rows = rows, .dim = dim, .x = x.data(), .y = expected.data()});
  EXPECT_EQ(mean[0], expected[0]);
  expect_near(mean, expected, kSmallestNormal);

  // Products of two that are not small: 2^-70 * 2^-70.
  const std::vector<float> small(static_cast<std::size_t>(dim * dim), 0x1p-70F);
  std::vector<float> product(static_cast<std::size_t>(dim * dim));
  std::vector<float> product_expected(product.size());
  ProductArgs args{.rows = dim,
                   .inner = dim,
                   .columns = dim,
                   .a = small.data(),
                   .a_row = dim,
                   .a_inner = 1,
                   .b = small.data(),
                   .b_stride = dim,
                   .c = product.data(),
                   .c_stride = dim};
  kernels().product(args);
  args.c = product_expected.data();
  plain().product(args);
  expect_near(product, product_expected, static_cast<double>(dim) * kSmallestNormal);

  // exp(-100) is below the normal numbers.
  std::vector<float> scores(static_cast<std::size_t>(dim), -100.0F);
  scores[0] = 0.0F;
  auto scores_expected = scores;
  const float offset = 0;
  kernels().exp_rows({1, dim, scores.data(), &offset, 0.0F});
  plain().exp_rows({1, dim, scores_expected.data(), &offset, 0.0F});
  EXPECT_EQ(scores[0], 1.0F);
  expect_near(scores, scores_expected, kSmallestNormal);
}

INSTANTIATE_TEST_SUITE_P(Targets, Kernels,
                         testing::ValuesIn(kernel_tables().begin(), kernel_tables().end()),
                         [](const auto& suite) { return std::string(suite.param->name); });

}  // namespace
}  // namespace qama::test
