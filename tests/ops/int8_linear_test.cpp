// Linear layers in int8: every kernel that this machine has against the plain reference, bit for
// bit.
#include "ops/simd/int8_linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "hal/base/aligned.h"
#include "ops/linear.h"
#include "ops/reference/reference.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using namespace qama::ops;

struct Layer {
  std::int64_t rows = 0, in = 0, out = 0;
  std::vector<float> x, scales, bias;
  std::vector<std::int8_t> values;

  [[nodiscard]] Int8Weights weights() const { return {values, scales}; }
  [[nodiscard]] std::vector<float> expected() const {
    return reference_int8_linear(rows, in, x, weights(), bias);
  }
};

Layer random_layer(std::int64_t rows, std::int64_t in, std::int64_t out, bool bias) {
  std::mt19937_64 random(static_cast<std::uint64_t>(rows * 1000003 + in * 1009 + out));
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> bytes(-127, 127);
  Layer layer{rows, in, out, {}, {}, {}, {}};
  for (std::int64_t i = 0; i < rows * in; ++i) layer.x.push_back(normal(random));
  for (std::int64_t i = 0; i < out * in; ++i) {
    layer.values.push_back(static_cast<std::int8_t>(bytes(random)));
  }
  for (std::int64_t i = 0; i < out; ++i) layer.scales.push_back(0.001F * std::fabs(normal(random)));
  for (std::int64_t i = 0; bias && i < out; ++i) layer.bias.push_back(normal(random));
  return layer;
}

/// What the kernel makes of it; the number behind the last one stays.
std::vector<float> run(const Int8LinearKernel* kernel, const Layer& layer, Activation activation) {
  const LinearSpec spec{layer.in, layer.out, !layer.bias.empty(), activation, {layer.rows}};
  auto op = Linear::create_int8(spec, layer.weights(), layer.bias, kernel);
  EXPECT_OK(op);
  EXPECT_EQ((*op)->implementation(), kernel->name);
  AlignedBuffer<std::byte> scratch((*op)->scratch_bytes());
  std::vector<float> y(static_cast<std::size_t>(layer.rows * layer.out + 1), 77.0F);
  auto call = (*op)->bind(0, layer.x.data(), y.data(), scratch.data());
  EXPECT_OK(call);
  EXPECT_TRUE(call->run());
  EXPECT_EQ(y.back(), 77.0F);
  y.pop_back();
  return y;
}

void expect_equal(const std::vector<float>& got, const std::vector<float>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(expected[i])) {
      ASSERT_TRUE(std::isnan(got[i])) << i;
    } else {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]), std::bit_cast<std::uint32_t>(expected[i]))
          << i << ": " << got[i] << ", expected " << expected[i];
    }
  }
}

// Shapes with and without a part of a panel and of a group, one row, and every height of a block.
TEST(Int8Linear, EqualsTheReferenceBitForBit) {
  ASSERT_FALSE(int8_linear_kernels().empty());
  struct Shape {
    std::int64_t rows, in, out;
  };
  std::vector<Shape> shapes{{49, 64, 192},  {1, 64, 10},  {7, 37, 51}, {25, 1, 1},   {13, 6, 33},
                            {64, 128, 264}, {3, 500, 16}, {5, 17, 9},  {2, 1000, 40}};
  for (std::int64_t rows = 1; rows <= 14; ++rows) shapes.push_back({rows, 20, 24});
  for (const Int8LinearKernel* kernel : int8_linear_kernels()) {
    for (const Shape& s : shapes) {
      SCOPED_TRACE(std::string(kernel->name) + ": " + std::to_string(s.rows) + " rows, " +
                   std::to_string(s.in) + " -> " + std::to_string(s.out));
      const Layer layer = random_layer(s.rows, s.in, s.out, s.rows % 2 == 0);
      expect_equal(run(kernel, layer, Activation::none), layer.expected());
    }
  }
}

// Where a product of 8 bits would saturate 16: every number at its largest, of either sign.
TEST(Int8Linear, NothingSaturates) {
  for (const Int8LinearKernel* kernel : int8_linear_kernels()) {
    SCOPED_TRACE(kernel->name);
    for (const int sign : {1, -1}) {
      Layer layer = random_layer(9, 520, 40, false);
      for (float& x : layer.x) x = 3.0F;
      for (std::int8_t& w : layer.values) w = static_cast<std::int8_t>(127 * sign);
      for (std::int64_t r = 0; r < layer.rows; r += 2) layer.x[r * layer.in] = -3.0F;
      const std::vector<float> y = run(kernel, layer, Activation::none);
      expect_equal(y, layer.expected());
      EXPECT_EQ(std::signbit(y[0]), sign < 0);
    }
  }
}

// Ties go to the even number; rows of zeros, of nearly nothing, of the largest floats, and of what
// is no number.
TEST(Int8Linear, EveryRowIsQuantisedAlike) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Int8LinearKernel* kernel : int8_linear_kernels()) {
    SCOPED_TRACE(kernel->name);
    for (const std::int64_t in : {40, 16, 5}) {
      Layer layer = random_layer(12, in, 24, true);
      const auto row = [&](std::int64_t r) { return std::span(layer.x).subspan(r * in, in); };
      for (std::int64_t k = 0; k < in; ++k) {
        row(0)[k] = static_cast<float>(k % 5) + 0.5F;  // with 127: ties
        row(1)[k] = 0.0F;
        row(2)[k] *= 1e-31F;
        row(3)[k] *= 1e-36F;
        row(4)[k] *= 1e37F;
        row(5)[k] = -0.0F;
      }
      row(0)[0] = 127.0F;
      row(6)[in - 1] = nan;
      row(7)[0] = kInfinity;
      row(8)[in - 1] = -kInfinity;
      row(9)[0] = -nan;
      row(10)[in - 1] = std::numeric_limits<float>::max();
      row(11)[0] = 1e-42F;
      const std::vector<float> y = run(kernel, layer, Activation::none);
      expect_equal(y, layer.expected());
      EXPECT_EQ(y[static_cast<std::size_t>(layer.out)], layer.bias[0]);
      EXPECT_TRUE(std::isnan(y[static_cast<std::size_t>(6 * layer.out)]));
      EXPECT_TRUE(std::isnan(y[static_cast<std::size_t>(9 * layer.out)]));
    }
  }
}

TEST(Int8Linear, IsNearTheProductInFloats) {
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal;
  Layer layer = random_layer(20, 128, 48, true);
  std::vector<float> matrix;
  for (std::size_t i = 0; i < layer.values.size(); ++i) matrix.push_back(normal(random));
  for (std::int64_t o = 0; o < layer.out; ++o) {
    layer.scales[o] = 5.0F / 127.0F;
    for (std::int64_t k = o * layer.in; k < (o + 1) * layer.in; ++k) {
      matrix[k] = std::clamp(matrix[k], -5.0F, 5.0F);
      layer.values[k] = static_cast<std::int8_t>(std::lrint(matrix[k] / layer.scales[o]));
    }
  }
  const std::vector<float> y = run(int8_linear_kernels().back(), layer, Activation::none);
  double error = 0;
  double power = 0;
  for (std::int64_t r = 0; r < layer.rows; ++r) {
    for (std::int64_t o = 0; o < layer.out; ++o) {
      double sum = layer.bias[o];
      for (std::int64_t k = 0; k < layer.in; ++k) {
        sum += static_cast<double>(layer.x[r * layer.in + k]) * matrix[o * layer.in + k];
      }
      error += std::pow(sum - y[r * layer.out + o], 2);
      power += sum * sum;
    }
  }
  EXPECT_LT(error / power, 2e-4);
  EXPECT_GT(error, 0.0);
}

TEST(Int8Linear, ActivationsFollowTheSums) {
  for (const Int8LinearKernel* kernel : int8_linear_kernels()) {
    SCOPED_TRACE(kernel->name);
    const Layer layer = random_layer(9, 33, 21, true);
    const std::vector<float> sums = layer.expected();
    const std::vector<float> erf = run(kernel, layer, Activation::gelu_erf);
    const std::vector<float> tanh = run(kernel, layer, Activation::gelu_tanh);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const double x = sums[i];
      EXPECT_NEAR(erf[i], 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))), 1e-6 * (1 + std::fabs(x)));
      EXPECT_NEAR(tanh[i],
                  0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))),
                  1e-6 * (1 + std::fabs(x)));
    }
  }
}

TEST(Int8Linear, SizesAreChecked) {
  const std::vector<std::int8_t> six(6);
  const std::vector<float> two(2);
  const std::vector<float> three(3);
  const auto create = [&](LinearSpec spec, std::span<const float> scales,
                          std::span<const float> bias) {
    return Linear::create_int8(spec, {six, scales}, bias);
  };
  EXPECT_OK(create({3, 2, true, Activation::none, {1}}, two, two));
  EXPECT_ERROR(invalid_argument, create({3, 3, false, Activation::none, {1}}, three, {}));
  EXPECT_ERROR(invalid_argument, create({3, 2, false, Activation::none, {1}}, three, {}));
  EXPECT_ERROR(invalid_argument, create({3, 2, true, Activation::none, {1}}, two, {}));
  EXPECT_ERROR(invalid_argument, create({3, 2, false, Activation::none, {}}, two, {}));
  const std::vector<std::int8_t> many((std::size_t{1} << 17) + 1);
  const std::vector<float> one(1);
  EXPECT_ERROR(
      invalid_argument,
      Linear::create_int8({static_cast<std::int64_t>(many.size()), 1, false, Activation::none, {1}},
                          {many, one}, {}));
}

}  // namespace
}  // namespace qama::test
