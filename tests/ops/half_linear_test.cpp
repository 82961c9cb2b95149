// Linear layers in half precision: every kernel that this machine has against the plain reference,
// bit for bit, and against double within a bound.
#include "ops/simd/half_linear.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/base/half.h"
#include "ops/linear.h"
#include "ops/reference/reference.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using namespace qama::ops;

constexpr Half kHalves[] = {Half::bf16, Half::f16};

struct Layer {
  Half kind = Half::bf16;
  std::int64_t rows = 0, in = 0, out = 0;
  std::vector<float> x, bias;
  std::vector<std::uint16_t> values;

  [[nodiscard]] HalfWeights weights() const { return {values, kind}; }
  [[nodiscard]] float weight(std::int64_t o, std::int64_t k) const {
    const std::uint16_t half = values[static_cast<std::size_t>(o * in + k)];
    return kind == Half::bf16 ? float_from_bf16(half) : float_from_f16(half);
  }
  [[nodiscard]] std::vector<float> expected() const {
    return reference_half_linear(rows, in, x, weights(), bias);
  }
};

Layer random_layer(Half kind, std::int64_t rows, std::int64_t in, std::int64_t out, bool bias) {
  std::mt19937_64 random(static_cast<std::uint64_t>(rows * 1000003 + in * 1009 + out));
  std::normal_distribution<float> normal;
  Layer layer{kind, rows, in, out, {}, {}, {}};
  for (std::int64_t i = 0; i < rows * in; ++i) layer.x.push_back(normal(random));
  for (std::int64_t i = 0; i < out * in; ++i) {
    const float w = 0.1F * normal(random);
    layer.values.push_back(kind == Half::bf16 ? bf16_from_float(w) : f16_from_float(w));
  }
  for (std::int64_t i = 0; bias && i < out; ++i) layer.bias.push_back(normal(random));
  return layer;
}

/// What the kernel makes of it; the number behind the last one stays.
std::vector<float> run(const Int8LinearKernel* kernel, const Layer& layer,
                       Activation activation = Activation::none) {
  const LinearSpec spec{layer.in, layer.out, !layer.bias.empty(), activation, {layer.rows}};
  auto op = Linear::create_half(spec, layer.weights(), layer.bias, kernel);
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

/// bfmmla adds in an order of its own.
bool exact(const Int8LinearKernel* kernel) {
  return kernel->name != "bf16:bfmmla";
}

void expect_equal(const Int8LinearKernel* kernel, const Layer& layer,
                  const std::vector<float>& got) {
  const std::vector<float> expected = layer.expected();
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(expected[i])) {
      ASSERT_TRUE(std::isnan(got[i])) << i;
    } else if (exact(kernel)) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]), std::bit_cast<std::uint32_t>(expected[i]))
          << i << ": " << got[i] << ", expected " << expected[i];
    } else if (std::isinf(expected[i])) {
      ASSERT_EQ(got[i], expected[i]) << i;
    } else {
      const auto r = static_cast<std::int64_t>(i) / layer.out;
      const auto o = static_cast<std::int64_t>(i) % layer.out;
      double sum = layer.bias.empty() ? 0.0 : std::fabs(layer.bias[o]);
      for (std::int64_t k = 0; k < layer.in; ++k) {
        sum += std::fabs(layer.x[r * layer.in + k] * static_cast<double>(layer.weight(o, k)));
      }
      ASSERT_NEAR(got[i], expected[i], 0x1p-22 * static_cast<double>(layer.in) * sum) << i;
    }
  }
}

// Shapes with and without a part of a panel, of a pair and of a block, one row, and every height.
TEST(HalfLinear, EqualsTheReferenceBitForBit) {
  ASSERT_FALSE(half_linear_kernels(Half::bf16).empty());
  struct Shape {
    std::int64_t rows, in, out;
  };
  std::vector<Shape> shapes{{49, 64, 192},  {1, 64, 10},  {7, 37, 51}, {25, 1, 1},   {13, 6, 33},
                            {64, 128, 264}, {3, 500, 16}, {5, 17, 9},  {2, 1000, 40}};
  for (std::int64_t rows = 1; rows <= 14; ++rows) shapes.push_back({rows, 20, 24});
  for (std::int64_t in = 1; in <= 40; ++in) shapes.push_back({3, in, 20});
  for (const Half kind : kHalves) {
    for (const Int8LinearKernel* kernel : half_linear_kernels(kind)) {
      for (const Shape& s : shapes) {
        SCOPED_TRACE(std::string(kernel->name) + ": " + std::to_string(s.rows) + " rows, " +
                     std::to_string(s.in) + " -> " + std::to_string(s.out));
        const Layer layer = random_layer(kind, s.rows, s.in, s.out, s.rows % 2 == 0);
        expect_equal(kernel, layer, run(kernel, layer));
      }
    }
  }
}

// Rows of zeros, of nearly nothing, of the largest floats, of what is no number, and of one large
// number among small ones; ties of bf16 and of f16.
TEST(HalfLinear, EveryRowIsRoundedAlike) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Half kind : kHalves) {
    for (const Int8LinearKernel* kernel : half_linear_kernels(kind)) {
      SCOPED_TRACE(kernel->name);
      for (const std::int64_t in : {40, 16, 5}) {
        Layer layer = random_layer(kind, 14, in, 24, true);
        const auto row = [&](std::int64_t r) { return std::span(layer.x).subspan(r * in, in); };
        for (std::int64_t k = 0; k < in; ++k) {
          row(0)[k] = 1.0F + static_cast<float>(k % 7) * 0x1p-8F + 0x1p-9F;
          row(1)[k] = 0.0F;
          row(2)[k] *= 1e-31F;
          row(3)[k] *= 1e-36F;
          row(4)[k] *= 1e37F;
          row(5)[k] = -0.0F;
          row(11)[k] = 1e-42F;
          row(12)[k] *= k == 0 ? 1e6F : 1.0F;
          row(13)[k] = 1.0F + static_cast<float>(k % 7) * 0x1p-10F + 0x1p-11F;
        }
        row(6)[in - 1] = nan;
        row(7)[0] = kInfinity;
        row(8)[in - 1] = -kInfinity;
        row(9)[0] = -nan;
        row(10)[in - 1] = std::numeric_limits<float>::max();
        const std::vector<float> y = run(kernel, layer);
        expect_equal(kernel, layer, y);
        EXPECT_EQ(y[static_cast<std::size_t>(layer.out)], layer.bias[0]);
      }
    }
  }
}

// The largest weights and numbers of one sign: no block of f16 passes its largest number.
TEST(HalfLinear, NothingOverflows) {
  for (const Half kind : kHalves) {
    for (const Int8LinearKernel* kernel : half_linear_kernels(kind)) {
      SCOPED_TRACE(kernel->name);
      Layer layer = random_layer(kind, 9, 520, 40, false);
      for (float& x : layer.x) x = 1000.0F;
      const float largest = 65504.0F;
      for (std::uint16_t& w : layer.values) {
        w = kind == Half::bf16 ? bf16_from_float(largest) : f16_from_float(largest);
      }
      const std::vector<float> y = run(kernel, layer);
      expect_equal(kernel, layer, y);
      EXPECT_NEAR(y[0] / (520 * 1000.0F * largest), 1.0F, 5e-3F);
    }
  }
}

// What half precision costs: the share of the outputs' power that is error. Rounding of bf16 is by
// 2^-9 at most, of f16 by 2^-12; most of f16's error comes from the sums of its blocks.
TEST(HalfLinear, IsNearDoubles) {
  for (const Half kind : kHalves) {
    for (const Int8LinearKernel* kernel : half_linear_kernels(kind)) {
      SCOPED_TRACE(kernel->name);
      for (const std::int64_t in : {64, 768, 3072}) {
        const Layer layer = random_layer(kind, 9, in, 33, true);
        const std::vector<float> y = run(kernel, layer);
        double error = 0;
        double power = 0;
        for (std::int64_t r = 0; r < layer.rows; ++r) {
          for (std::int64_t o = 0; o < layer.out; ++o) {
            double sum = layer.bias[o];
            for (std::int64_t k = 0; k < in; ++k) {
              sum += static_cast<double>(layer.x[r * in + k]) * layer.weight(o, k);
            }
            error += std::pow(sum - y[r * layer.out + o], 2);
            power += sum * sum;
          }
        }
        EXPECT_LT(error / power, kind == Half::bf16 ? 4e-6 : 1e-6);
        EXPECT_GT(error, 0.0);
      }
    }
  }
}

TEST(HalfLinear, ActivationsFollowTheSums) {
  for (const Half kind : kHalves) {
    for (const Int8LinearKernel* kernel : half_linear_kernels(kind)) {
      SCOPED_TRACE(kernel->name);
      const Layer layer = random_layer(kind, 9, 33, 21, true);
      const std::vector<float> sums = layer.expected();
      const std::vector<float> erf = run(kernel, layer, Activation::gelu_erf);
      const std::vector<float> tanh = run(kernel, layer, Activation::gelu_tanh);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const double x = sums[i];
        EXPECT_NEAR(erf[i], 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))),
                    2e-6 * (1 + std::fabs(x)));
        EXPECT_NEAR(tanh[i],
                    0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))),
                    2e-6 * (1 + std::fabs(x)));
      }
    }
  }
}

TEST(HalfLinear, SizesAndMachinesAreChecked) {
  const std::vector<std::uint16_t> six(6);
  const std::vector<float> two(2);
  const auto create = [&](const LinearSpec& spec, std::span<const float> bias, Half kind) {
    return Linear::create_half(spec, {six, kind}, bias);
  };
  EXPECT_OK(create({3, 2, true, Activation::none, {1}}, two, Half::bf16));
  EXPECT_ERROR(invalid_argument, create({3, 3, false, Activation::none, {1}}, {}, Half::bf16));
  EXPECT_ERROR(invalid_argument, create({3, 2, true, Activation::none, {1}}, {}, Half::bf16));
  EXPECT_ERROR(invalid_argument, create({3, 2, false, Activation::none, {}}, {}, Half::bf16));
  const auto f16 = create({3, 2, true, Activation::none, {1}}, two, Half::f16);
  if (half_linear_kernels(Half::f16).empty()) {
    EXPECT_ERROR(unsupported, f16);
  } else {
    EXPECT_OK(f16);
  }
}

}  // namespace
}  // namespace qama::test
