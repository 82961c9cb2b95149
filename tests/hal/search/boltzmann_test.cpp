// Samples at a temperature against exact enumeration: mean energy, means of variables and of pairs,
// each within four standard errors of independent samples.
#include "hal/search/boltzmann.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "hal/lower/decode.h"
#include "tests/test_support.h"

namespace qama::hal {
namespace {

ProblemFile random_graph(ProblemKind kind, std::int32_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> weight;
  ProblemFile out;
  out.kind = kind;
  out.graph.size = size;
  for (std::int32_t i = 0; i < size; ++i) {
    for (std::int32_t j = kind == ProblemKind::maxcut ? i + 1 : i; j < size; ++j)
      out.graph.edges.push_back({i, j, weight(random)});
  }
  return out;
}

ProblemFile random_layer() {
  std::mt19937 random(7);
  std::normal_distribution<double> number;
  ProblemFile out;
  out.layer = {.name = "layer", .heads = 2, .tokens = 4, .rank = 2, .rho = 0.5, .lambda = 0.7};
  out.layer.signs = {1, 1, 1, -1};
  for (int k = 0; k < 8; ++k) out.layer.fields.push_back(number(random));
  for (int k = 0; k < 16; ++k) out.layer.factors.push_back(number(random));
  return out;
}

std::uint64_t state_of(std::span<const std::uint8_t> sample) {
  std::uint64_t state = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) state |= std::uint64_t{sample[i]} << i;
  return state;
}

/// value_of() by a state whose bit i is variable i.
double value_of_state(const ProblemFile& file, std::uint64_t state) {
  if (file.kind != ProblemKind::qama) return value_of(file, {&state, 1});
  std::vector<std::uint64_t> heads;
  for (std::int32_t t = 0; t < file.layer.heads; ++t)
    heads.push_back(state >> (t * file.layer.tokens) & ((1U << file.layer.tokens) - 1));
  return value_of(file, heads);
}

/// Mean and standard deviation of a quantity, exact.
struct Moments {
  double sum = 0, squares = 0;
  void add(double weight, double value) {
    sum += weight * value;
    squares += weight * value * value;
  }
};

/// `most_tried`: as BoltzmannRequest::most_tried.
void expect_sampled(const ProblemFile& file, double temperature, std::int32_t most_tried) {
  const auto n = static_cast<std::size_t>(file.shape().spins());
  constexpr std::int64_t kSamples = 40'000;
  std::vector<std::uint8_t> samples(n * kSamples);
  std::vector<double> values(kSamples);
  const BoltzmannRequest request{
      .temperature = temperature, .between = 20, .seed = 3, .most_tried = most_tried};
  ASSERT_TRUE(sample_boltzmann(file, request, kSamples, samples, values).ok());

  // Quantities: the value, each variable, each pair.
  const std::size_t quantities = 1 + n + n * n;
  const auto each = [&](std::uint64_t state, double value, auto&& visit) {
    visit(0, value);
    for (std::size_t i = 0; i < n; ++i) {
      const bool first = (state >> i & 1U) != 0;
      visit(1 + i, first ? 1.0 : 0.0);
      for (std::size_t j = 0; j < n; ++j)
        visit(1 + n + i * n + j, first && (state >> j & 1U) != 0 ? 1.0 : 0.0);
    }
  };
  std::vector<Moments> exact(quantities);
  double total = 0;
  for (std::uint64_t state = 0; state < (std::uint64_t{1} << n); ++state) {
    const double value = value_of_state(file, state);
    const double weight = std::exp((file.maximises() ? value : -value) / temperature);
    total += weight;
    each(state, value, [&](std::size_t k, double q) { exact[k].add(weight, q); });
  }
  std::vector<double> found(quantities);
  for (std::size_t k = 0; k < kSamples; ++k) {
    const std::uint64_t state = state_of(std::span(samples).subspan(k * n, n));
    ASSERT_DOUBLE_EQ(values[k], value_of_state(file, state));
    each(state, values[k], [&](std::size_t q, double value) { found[q] += value / kSamples; });
  }
  for (std::size_t k = 0; k < quantities; ++k) {
    const double mean = exact[k].sum / total;
    const double variance = exact[k].squares / total - mean * mean;
    EXPECT_NEAR(found[k], mean, 4 * std::sqrt(std::max(variance, 0.0) / kSamples) + 1e-9)
        << "quantity " << k;
  }
}

/// By chains and from all answers.
void expect_distribution(const ProblemFile& file, double temperature) {
  for (const std::int32_t most_tried : {0, 20}) {
    SCOPED_TRACE(most_tried);
    expect_sampled(file, temperature, most_tried);
  }
}

TEST(Boltzmann, QuadraticForm) {
  expect_distribution(random_graph(ProblemKind::qubo, 10, 1), 1.5);
}
TEST(Boltzmann, MaxCutPrefersLargeValues) {
  expect_distribution(random_graph(ProblemKind::maxcut, 9, 2), 1.5);
}
TEST(Boltzmann, Ising) {
  expect_distribution(random_graph(ProblemKind::ising, 9, 3), 4);
}
TEST(Boltzmann, Layer) {
  expect_distribution(random_layer(), 1);
}
TEST(Boltzmann, ASumThatIsMaximised) {
  ProblemFile file = random_graph(ProblemKind::qubo, 7, 4);
  file.maximise = true;
  expect_distribution(file, 1);
}

ProblemFile form_of(std::int32_t size, std::vector<Edge> edges) {
  ProblemFile out;
  out.kind = ProblemKind::qubo;
  out.graph = {size, std::move(edges)};
  return out;
}

/// A double forgets what stands beside a penalty, once that has come and gone.
TEST(Boltzmann, SmallWeightsCountBesidePenalties) {
  for (const double penalty : {1e10, 1e17, 1e40, 1e300}) {
    SCOPED_TRACE(penalty);
    expect_distribution(form_of(3, {{0, 0, -1}, {1, 1, -1}, {2, 2, -0.3}, {0, 1, penalty}}), 1);
  }
}

/// At temperatures at which a chain stays in its valley for good.
TEST(Boltzmann, ColdSamplesOfFewVariablesAreExact) {
  // Two valleys of nearly one depth: 000 and 111.
  const ProblemFile valleys =
      form_of(3, {{0, 0, 2}, {1, 1, 2}, {2, 2, 1.9}, {0, 1, -2}, {1, 2, -2}, {0, 2, -2}});
  for (const double temperature : {0.1, 0.05}) {
    SCOPED_TRACE(temperature);
    expect_sampled(valleys, temperature, 20);
  }
  expect_sampled(random_graph(ProblemKind::ising, 16, 9), 0.3, 20);
}

TEST(Boltzmann, FewSamplesOfTwentyVariablesAreOfChains) {
  const ProblemFile file = random_graph(ProblemKind::qubo, 20, 10);
  const auto run = [&](std::int64_t count, std::int32_t most_tried) {
    std::vector<std::uint8_t> samples(static_cast<std::size_t>(20 * count));
    const BoltzmannRequest request{.temperature = 3, .most_tried = most_tried};
    EXPECT_TRUE(sample_boltzmann(file, request, count, samples, {}).ok());
    return samples;
  };
  EXPECT_EQ(run(100, 20), run(100, 0));
  EXPECT_NE(run(10'000, 20), run(10'000, 0));
}

TEST(Boltzmann, HugeAndTinyUnits) {
  for (const double unit : {1e-300, 1e150}) {
    SCOPED_TRACE(unit);
    ProblemFile file = random_graph(ProblemKind::qubo, 6, 8);
    for (Edge& edge : file.graph.edges) edge.weight *= unit;
    expect_distribution(file, 1.5 * unit);
  }
}

TEST(Boltzmann, ChainsCoolDownToWhatIsAlmostNothing) {
  // A chain of 60 spins: a quench leaves many defects.
  ProblemFile file;
  file.kind = ProblemKind::ising;
  file.graph.size = 60;
  for (std::int32_t i = 0; i + 1 < 60; ++i) file.graph.edges.push_back({i, i + 1, -1e10});
  const auto mean = [&](double temperature) {
    std::vector<std::uint8_t> samples(60 * 32);
    std::vector<double> values(32);
    const BoltzmannRequest request{.temperature = temperature, .burn_in = 300, .between = 1};
    EXPECT_TRUE(sample_boltzmann(file, request, 32, samples, values).ok());
    double sum = 0;
    for (const double value : values) sum += value / 32;
    return sum;
  };
  EXPECT_NEAR(mean(5e-324), mean(1e-280), 2e9);
}

TEST(Boltzmann, ColdChainsFindTheBestAnswer) {
  const ProblemFile file = random_graph(ProblemKind::qubo, 12, 5);
  double best = HUGE_VAL;
  for (std::uint64_t state = 0; state < 4096; ++state)
    best = std::min(best, value_of_state(file, state));
  std::vector<std::uint8_t> samples(12 * 64);
  std::vector<double> values(64);
  ASSERT_TRUE(sample_boltzmann(file, {.temperature = 1e-3}, 64, samples, values).ok());
  EXPECT_EQ(*std::min_element(values.begin(), values.end()), best);
}

TEST(Boltzmann, TheSeedDecidesAndThreadsDoNot) {
  const ProblemFile file = random_graph(ProblemKind::qubo, 70, 6);
  const auto run = [&](std::uint64_t seed, std::int32_t threads) {
    std::vector<std::uint8_t> samples(70 * 45);
    const BoltzmannRequest request{.temperature = 5, .seed = seed, .threads = threads};
    EXPECT_TRUE(sample_boltzmann(file, request, 45, samples, {}).ok());
    return samples;
  };
  EXPECT_EQ(run(1, 1), run(1, 3));
  EXPECT_NE(run(1, 1), run(2, 1));
}

TEST(Boltzmann, RefusesWhatIsOutOfBounds) {
  const ProblemFile file = random_graph(ProblemKind::qubo, 4, 1);
  std::vector<std::uint8_t> samples(8);
  const auto refused = [&](const BoltzmannRequest& request, std::int64_t count = 2) {
    const Status status = sample_boltzmann(file, request, count, samples, {});
    return !status.ok() && status.error().code == ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(refused({.temperature = 0}));
  EXPECT_TRUE(refused({.temperature = -1}));
  EXPECT_TRUE(refused({.temperature = std::nan("")}));
  EXPECT_TRUE(refused({.temperature = HUGE_VAL}));
  EXPECT_TRUE(refused({.burn_in = -1}));
  EXPECT_TRUE(refused({.between = 0}));
  EXPECT_TRUE(refused({.threads = 0}));
  EXPECT_TRUE(refused({.most_tried = -1}));
  EXPECT_TRUE(refused({.most_tried = 25}));
  EXPECT_TRUE(refused({}, 3));
  EXPECT_TRUE(refused({}, 0));
  EXPECT_TRUE(refused({}, INT64_MAX));
  EXPECT_FALSE(refused({}));
}

TEST(Boltzmann, CanBeStopped) {
  const ProblemFile file = random_graph(ProblemKind::qubo, 4, 1);
  std::vector<std::uint8_t> samples(8);
  const std::atomic<bool> stop = true;
  for (const std::int32_t most_tried : {0, 20}) {
    const BoltzmannRequest request{.stop = &stop, .most_tried = most_tried};
    const Status status = sample_boltzmann(file, request, 2, samples, {});
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::cancelled);
  }
}

}  // namespace
}  // namespace qama::hal
