// The project's own linear kernels, every one that this machine has, against a product in double.
#include "ops/simd/packed_linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "ops/linear.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using namespace qama::ops;

double activate(double x, Activation kind) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::gelu_erf:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
  }
  return x;
}

// Shapes with and without a part of a panel, a length that is no multiple of four, one row, and
// more rows than a block.
TEST(PackedLinear, EqualsAProductInDouble) {
  struct Shape {
    std::int64_t rows, in, out;
  };
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  ASSERT_FALSE(packed_linear_kernels().empty());
  for (const PackedLinearKernel* kernel : packed_linear_kernels()) {
    for (const Shape& s : {Shape{49, 64, 192}, Shape{1, 64, 10}, Shape{7, 37, 51}, Shape{25, 1, 1},
                           Shape{13, 6, 33}}) {
      for (const Activation kind :
           {Activation::none, Activation::gelu_erf, Activation::gelu_tanh}) {
        SCOPED_TRACE(std::string(kernel->name) + ": " + std::to_string(s.rows) + " rows, " +
                     std::to_string(s.in) + " -> " + std::to_string(s.out));
        const std::int64_t width = kernel->width;
        const std::int64_t padded = (s.out + width - 1) / width * width;
        std::vector<float> x(static_cast<std::size_t>(s.rows * s.in));
        std::vector<float> packed(static_cast<std::size_t>(padded * s.in));
        std::vector<float> bias(static_cast<std::size_t>(padded));
        std::vector<float> y(static_cast<std::size_t>(s.rows * s.out + 1), 77.0F);
        const auto weight = [&](std::int64_t o, std::int64_t k) -> float& {
          return packed[static_cast<std::size_t>((o / width * s.in + k) * width + o % width)];
        };
        for (float& v : x) v = normal(random);
        for (std::int64_t o = 0; o < s.out; ++o) {
          bias[static_cast<std::size_t>(o)] = normal(random);
          for (std::int64_t k = 0; k < s.in; ++k) weight(o, k) = normal(random);
        }
        kernel->run({s.rows, s.in, s.out, x.data(), packed.data(), bias.data(), y.data(), kind});
        for (std::int64_t r = 0; r < s.rows; ++r) {
          for (std::int64_t o = 0; o < s.out; ++o) {
            double sum = bias[static_cast<std::size_t>(o)];
            double size = 1 + std::fabs(sum);
            for (std::int64_t k = 0; k < s.in; ++k) {
              const double term =
                  static_cast<double>(x[static_cast<std::size_t>(r * s.in + k)]) * weight(o, k);
              sum += term;
              size += std::fabs(term);
            }
            ASSERT_NEAR(y[static_cast<std::size_t>(r * s.out + o)], activate(sum, kind),
                        1e-6 * size);
          }
        }
        EXPECT_EQ(y.back(), 77.0F);
      }
    }
  }
}

// The GELU is a fit: over the whole range, and where it is cut off. Error in units of the larger of
// |x| and 1.
TEST(PackedLinear, GeluIsRightEverywhere) {
  for (const PackedLinearKernel* kernel : packed_linear_kernels()) {
    SCOPED_TRACE(kernel->name);
    std::vector<float> weights(static_cast<std::size_t>(kernel->width));
    const std::vector<float> bias(static_cast<std::size_t>(kernel->width));
    weights[0] = 1.0F;
    for (const Activation kind : {Activation::gelu_erf, Activation::gelu_tanh}) {
      for (int i = -12000; i <= 12000; ++i) {
        const float x = static_cast<float>(i) / 1000.0F;
        float y = 0;
        kernel->run({1, 1, 1, &x, weights.data(), bias.data(), &y, kind});
        ASSERT_NEAR(y, activate(x, kind), 4e-7 * std::max(1.0, std::fabs(static_cast<double>(x))))
            << x;
      }
    }
  }
}

TEST(PackedLinear, PanelsAreTakenWhereTheyLie) {
  constexpr std::int64_t kRows = 7, kIn = 37, kOut = 51;
  const PackedLinearKernel& kernel = *packed_linear_kernels().front();
  const auto padded =
      static_cast<std::size_t>((kOut + kernel.width - 1) / kernel.width * kernel.width);
  std::mt19937_64 random(8);
  std::normal_distribution<float> normal;
  std::vector<float> x(kRows * kIn), panels(padded * kIn), bias(padded);
  for (auto* values : {&x, &panels, &bias}) {
    for (float& value : *values) value = normal(random);
  }
  std::vector<float> expected(kRows * kOut), got(kRows * kOut);
  kernel.run({kRows, kIn, kOut, x.data(), panels.data(), bias.data(), expected.data(),
              Activation::gelu_erf});
  const LinearSpec spec{kIn, kOut, false, Activation::gelu_erf, {kRows}};
  ASSERT_OK_AND_ASSIGN(const auto op,
                       Linear::from_panels(spec, {kernel.width, panels, {}, {}, bias}));
  EXPECT_EQ(op->implementation(), kernel.name);
  EXPECT_EQ(op->scratch_bytes(), 0U);
  ASSERT_OK_AND_ASSIGN(const auto call, op->bind(0, x.data(), got.data(), nullptr));
  EXPECT_TRUE(call.run());
  EXPECT_EQ(got, expected);

  const std::span<const float> less = std::span(panels).subspan(1);
  EXPECT_ERROR(invalid_argument, Linear::from_panels(spec, {kernel.width, less, {}, {}, bias}));
  // Panels of one output: no machine has a kernel for them.
  const std::vector<float> single(kIn);
  EXPECT_ERROR(unsupported, Linear::from_panels({kIn, 1, false, Activation::none, {kRows}},
                                                {1, single, {}, {}, std::span(bias).first(1)}));
}

}  // namespace
}  // namespace qama::test
