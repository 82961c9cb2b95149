// Linear against a product in double, for the shapes and numbers of rows that models use.
#include "ops/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <thread>
#include <vector>

#include "hal/base/aligned.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using namespace qama::ops;

AlignedBuffer<float> random_buffer(std::int64_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  AlignedBuffer<float> out(static_cast<std::size_t>(count));
  for (float& v : out.span()) v = static_cast<float>(normal(random));
  return out;
}

double gelu(double x, Activation kind) {
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

struct Case {
  std::int64_t in, out;
  bool bias;
  Activation activation;
};

TEST(Linear, EqualsAProductInDouble) {
  ASSERT_OK_AND_ASSIGN(auto factory, LinearFactory::create());
  for (const Case& c :
       {Case{16, 64, true, Activation::none}, Case{64, 136, false, Activation::none},
        Case{64, 128, true, Activation::gelu_erf}, Case{64, 128, true, Activation::gelu_tanh},
        Case{128, 64, true, Activation::none}, Case{37, 51, true, Activation::gelu_erf},
        Case{100, 3, true, Activation::none}, Case{1, 1, true, Activation::none}}) {
    const LinearSpec spec{c.in, c.out, c.bias, c.activation, {1, 16, 49}};
    SCOPED_TRACE(std::to_string(c.in) + " -> " + std::to_string(c.out));
    const auto weights = random_buffer(c.in * c.out, 1);
    const auto bias = random_buffer(c.bias ? c.out : 0, 2);
    ASSERT_OK_AND_ASSIGN(auto op, Linear::create(*factory, spec, weights.span(), bias.span()));
    EXPECT_FALSE(op->implementation().empty());
    const auto x = random_buffer(49 * c.in, 3);
    AlignedBuffer<std::byte> scratch(op->scratch_bytes());
    for (std::size_t variant = 0; variant < spec.rows.size(); ++variant) {
      const std::int64_t rows = spec.rows[variant];
      AlignedBuffer<float> y(static_cast<std::size_t>(rows * c.out + 1));
      y[y.size() - 1] = 77.0F;
      ASSERT_OK_AND_ASSIGN(auto call, op->bind(variant, x.data(), y.data(), scratch.data()));
      ASSERT_TRUE(call.run());
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t o = 0; o < c.out; ++o) {
          double sum = c.bias ? bias[static_cast<std::size_t>(o)] : 0.0F;
          double size = 1;
          for (std::int64_t i = 0; i < c.in; ++i) {
            const double term = static_cast<double>(x[static_cast<std::size_t>(r * c.in + i)]) *
                                weights[static_cast<std::size_t>(o * c.in + i)];
            sum += term;
            size += std::fabs(term);
          }
          ASSERT_NEAR(y[static_cast<std::size_t>(r * c.out + o)], gelu(sum, c.activation),
                      1e-6 * size);
        }
      }
      EXPECT_EQ(y[y.size() - 1], 77.0F);
    }
  }
}

TEST(Linear, TheTwoGelusAreDifferentOperators) {
  ASSERT_OK_AND_ASSIGN(auto factory, LinearFactory::create());
  const std::vector<float> one{1.0F};
  const std::vector<float> zero{0.0F};
  AlignedBuffer<float> x(1);
  x[0] = 2.0F;
  AlignedBuffer<float> y(1);
  const auto run = [&](Activation activation) {
    auto op = Linear::create(*factory, {1, 1, true, activation, {1}}, one, zero);
    EXPECT_OK(op);
    AlignedBuffer<std::byte> scratch((*op)->scratch_bytes());
    auto call = (*op)->bind(0, x.data(), y.data(), scratch.data());
    EXPECT_OK(call);
    EXPECT_TRUE(call->run());
    return static_cast<double>(y[0]);
  };
  EXPECT_NEAR(run(Activation::gelu_erf), 1.9544997, 2e-6);
  EXPECT_NEAR(run(Activation::gelu_tanh), 1.9545977, 2e-6);
}

TEST(Linear, ManyThreadsShareTheWeights) {
  ASSERT_OK_AND_ASSIGN(auto factory, LinearFactory::create());
  const auto weights = random_buffer(64 * 96, 1);
  ASSERT_OK_AND_ASSIGN(auto op, Linear::create(*factory, {64, 96, false, Activation::none, {49}},
                                               weights.span(), {}));
  const auto x = random_buffer(49 * 64, 3);
  std::vector<AlignedBuffer<float>> results;
  for (int t = 0; t < 4; ++t) results.emplace_back(49 * 96);
  std::vector<std::thread> threads;
  for (auto& y : results) {
    threads.emplace_back([&] {
      AlignedBuffer<std::byte> scratch(op->scratch_bytes());
      auto call = op->bind(0, x.data(), y.data(), scratch.data());
      ASSERT_OK(call);
      for (int i = 0; i < 100; ++i) ASSERT_TRUE(call->run());
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& y : results) {
    EXPECT_TRUE(std::equal(y.data(), y.data() + y.size(), results[0].data()));
  }
}

TEST(Linear, SizesAreChecked) {
  ASSERT_OK_AND_ASSIGN(auto factory, LinearFactory::create());
  const std::vector<float> six(6);
  const std::vector<float> two(2);
  EXPECT_ERROR(invalid_argument,
               Linear::create(*factory, {3, 3, false, Activation::none, {1}}, six, {}));
  EXPECT_ERROR(invalid_argument,
               Linear::create(*factory, {3, 2, true, Activation::none, {1}}, six, {}));
  EXPECT_ERROR(invalid_argument,
               Linear::create(*factory, {3, 2, false, Activation::none, {1}}, six, two));
  EXPECT_ERROR(invalid_argument,
               Linear::create(*factory, {3, 2, false, Activation::none, {}}, six, {}));
  EXPECT_OK(Linear::create(*factory, {3, 2, true, Activation::none, {1}}, six, two));
}

}  // namespace
}  // namespace qama::test
