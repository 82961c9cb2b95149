// Long heads: layers on factors against the same with J built, which must mean the same; which
// samples get them, and what memory that takes.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "hal/form.h"
#include "runtime/engine/plan.h"
#include "runtime/engine/session.h"
#include "tests/runtime/engine/models.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using runtime::Plan;
using runtime::Session;

weights::Architecture long_architecture(std::int32_t tokens, weights::Normalisation normalisation,
                                        std::int32_t dim_head = 12) {
  weights::Architecture a = text_architecture(weights::AttentionKind::qama);
  a.max_tokens = tokens;
  a.heads = 1;
  a.dim_head = dim_head;
  a.attention.normalisation = normalisation;
  return a;
}

constexpr weights::Normalisation kNormalisations[] = {
    weights::Normalisation::none, weights::Normalisation::instance, weights::Normalisation::batch};

class KeepsEnergies final : public runtime::Recorder {
 public:
  void tensor(std::string_view, std::int32_t, std::span<const float>) override {}
  void spins(std::string_view, std::int32_t, std::span<const std::uint8_t> values) override {
    selections.emplace_back(values.begin(), values.end());
  }
  void energies(std::string_view, std::int32_t, std::span<const double> values) override {
    all.insert(all.end(), values.begin(), values.end());
  }
  std::vector<std::vector<std::uint8_t>> selections;
  std::vector<double> all;
};

/// Texts of all lengths for a model, and a session on each form of plan. Of both kinds of
/// dimension: those of 64 and more change over at a pair of tokens, where all tokens but the first
/// few are fewer than dimensions.
class LongHeads : public testing::TestWithParam<std::tuple<weights::Normalisation, std::int32_t>> {
 protected:
  void SetUp() override {
    const weights::Architecture a =
        long_architecture(300, std::get<0>(GetParam()), std::get<1>(GetParam()));
    held = make_model(a);
    ASSERT_NE(held.model, nullptr);
    std::mt19937_64 random(3);
    tokens.resize(lengths.size() * 300);
    for (auto& id : tokens)
      id = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(a.vocabulary));
  }
  std::unique_ptr<Session> session(bool factors, const std::string& device = "cpu:") {
    auto plan =
        Plan::create(held.model, {static_cast<std::int32_t>(lengths.size()), 1, 1, factors});
    EXPECT_OK(plan);
    runtime::SessionOptions options;
    options.max_batch = static_cast<std::int32_t>(lengths.size());
    options.device = device;
    options.schedule.sweeps = 20;
    options.schedule.restarts = 8;
    auto out = Session::create(*plan, options);
    EXPECT_OK(out);
    return std::move(*out);
  }
  std::vector<float> run(Session& session, const runtime::RunOptions& options = {}) {
    std::vector<float> logits(lengths.size() * 3);
    EXPECT_OK(session.run_tokens(tokens, lengths, logits, options));
    return logits;
  }

  MemoryModel held;
  std::vector<std::int32_t> lengths{300, 1, 2, 3, 17, 64, 95, 96, 257};
  std::vector<std::int32_t> tokens;
};

TEST_P(LongHeads, GiveTheDenseLayersEnergiesForTheSameSpins) {
  std::vector<std::vector<std::uint8_t>> spins;
  std::mt19937_64 random(4);
  for (int block = 0; block < 2; ++block) {
    spins.emplace_back(lengths.size() * 300);
    for (auto& s : spins.back()) s = random() % 3 == 0 ? 1 : 0;
  }
  const std::vector<std::span<const std::uint8_t>> forced(spins.begin(), spins.end());
  KeepsEnergies of_factors;
  KeepsEnergies of_dense;
  runtime::RunOptions options;
  options.hooks.forced_spins = forced;
  const auto on_factors = session(true);
  const auto dense = session(false);
  options.hooks.recorder = &of_factors;
  const auto got = run(*on_factors, options);
  options.hooks.recorder = &of_dense;
  const auto expected = run(*dense, options);
  for (std::size_t k = 0; k < got.size(); ++k) {
    EXPECT_NEAR(got[k], expected[k], 1e-3F * (1.0F + std::fabs(expected[k]))) << k;
  }
  ASSERT_EQ(of_factors.all.size(), of_dense.all.size());
  double largest = 0;
  for (const double energy : of_dense.all) largest = std::max(largest, std::fabs(energy));
  for (std::size_t k = 0; k < of_dense.all.size(); ++k) {
    ASSERT_NEAR(of_factors.all[k], of_dense.all[k], 1e-3 * largest) << k;
  }
  for (std::int32_t sample = 0; sample < static_cast<std::int32_t>(lengths.size()); ++sample) {
    for (std::size_t layer = 0; layer < 2; ++layer) {
      const double energy = dense->solves(sample)[layer].energy;
      // The dense one's are rounded integers.
      EXPECT_NEAR(on_factors->solves(sample)[layer].energy, energy, 0.02 * (std::fabs(energy) + 1))
          << sample;
    }
  }
}

// As good as on integers: of a layer's energies the first one's inputs are the same.
TEST_P(LongHeads, AreSolvedAsWell) {
  const auto on_factors = session(true);
  const auto dense = session(false);
  run(*on_factors);
  run(*dense);
  for (std::int32_t sample = 0; sample < static_cast<std::int32_t>(lengths.size()); ++sample) {
    const double expected = dense->solves(sample)[0].energy;
    EXPECT_LE(on_factors->solves(sample)[0].energy, expected + 0.005 * std::fabs(expected) + 1e-3)
        << sample;
    EXPECT_GE(on_factors->solves(sample)[0].energy, expected - 0.005 * std::fabs(expected) - 1e-3)
        << sample;
  }
}

TEST_P(LongHeads, HaveTheSameSpinsOnEveryKernelAndAlone) {
  KeepsEnergies first;
  KeepsEnergies scalar;
  runtime::RunOptions options;
  options.hooks.recorder = &first;
  const auto together = run(*session(true), options);
  options.hooks.recorder = &scalar;
  const auto expected = run(*session(true, "cpu:scalar"), options);
  EXPECT_EQ(first.selections, scalar.selections);
  EXPECT_EQ(together, expected);
}

// The sample's own tokens decide: a short text has integers, as in a model for short texts.
TEST_P(LongHeads, AreThoseOfLongSamples) {
  const auto on_factors = session(true);
  const auto dense = session(false);
  const auto got = run(*on_factors);
  const auto expected = run(*dense);
  for (std::size_t sample = 0; sample < lengths.size(); ++sample) {
    const bool is_long = lengths[sample] >= hal::first_factors_tokens(1, std::get<1>(GetParam()));
    const auto solves = on_factors->solves(static_cast<std::int32_t>(sample));
    if (is_long) {
      EXPECT_EQ(solves[0].result.energy, 0) << lengths[sample];
    }
    for (std::size_t c = 0; c < 3 && !is_long; ++c) {
      EXPECT_EQ(got[3 * sample + c], expected[3 * sample + c]) << lengths[sample];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Normalisations, LongHeads,
                         testing::Combine(testing::ValuesIn(kNormalisations),
                                          testing::Values(12, 64, 100)));

TEST(LongHeadPlans, MemoryIsLinearInTheTokens) {
  const auto bytes = [](std::int32_t tokens, bool factors) {
    const MemoryModel held =
        make_model(long_architecture(tokens, weights::Normalisation::instance));
    auto plan = Plan::create(held.model, {1, 1, 1, factors});
    EXPECT_OK(plan);
    return static_cast<double>((*plan)->arena_bytes());
  };
  // Both have the same room for shorter samples with J built.
  EXPECT_LE(bytes(32768, true) - bytes(4096, true), 8.5 * (bytes(8192, true) - bytes(4096, true)));
  EXPECT_LE(bytes(32768, true), 64e6);
  EXPECT_GE(bytes(4096, false), 8 * bytes(4096, true));
  // Short heads of few dimensions are not touched.
  EXPECT_EQ(bytes(64, true), bytes(64, false));
}

TEST(LongHeadPlans, TakeMoreTokensThanIntegersCan) {
  const MemoryModel held = make_model(long_architecture(32768, weights::Normalisation::instance));
  EXPECT_ERROR(unsupported, Plan::create(held.model, {1, 1, 1, false}));
  ASSERT_OK_AND_ASSIGN(const auto session, Session::create(held.model, {}));
  std::vector<std::int32_t> tokens(32768);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i * i % 89);
  std::vector<float> logits(3);
  for (const std::int32_t length : {32768, 20000, 17}) {
    ASSERT_OK(session->run_tokens(tokens, {&length, 1}, logits));
    for (const float value : logits) EXPECT_TRUE(std::isfinite(value)) << length;
    EXPECT_EQ(session->solves(0)[0].result.energy == 0, length > 17) << length;
  }
}

/// Products of bilinear couplings, one by one: P P^T - M M^T, or the factors P and M alone.
TEST(LongHeadPlans, CountTheMultiplyAddsOfBilinearCouplings) {
  for (const auto& [heads, tokens, on_factors] :
       {std::tuple{2, 50, false}, {1, 300, false}, {1, 300, true}}) {
    weights::Architecture a = with_kind(text_architecture(weights::AttentionKind::qama),
                                        weights::AttentionKind::qama_bilinear);
    a.heads = heads;
    a.dim_head = a.dim / heads;
    a.max_tokens = tokens;
    const MemoryModel held = make_model(a);
    ASSERT_NE(held.model, nullptr);
    const auto plan = Plan::create(held.model, {1, 1, 1, on_factors});
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    std::int64_t expected = 0;
    for (int head = 0; head < heads; ++head) {
      for (int i = 0; i < tokens; ++i) {
        for (int d = 0; d < a.dim_head; ++d) {
          expected += 2 * (on_factors ? 1 : tokens);  // P and M; with each token j
        }
      }
    }
    int layers = 0;
    for (const runtime::StepInfo& step : (*plan)->steps()) {
      if (step.op != "qama.problem") continue;
      EXPECT_EQ(step.macs, expected) << heads << " heads, " << tokens << " tokens";
      ++layers;
    }
    EXPECT_EQ(layers, a.depth);
  }
}

TEST(LongHeadPlans, NeedADeviceThatTakesFactors) {
  const MemoryModel held = make_model(long_architecture(300, weights::Normalisation::none));
  ASSERT_OK_AND_ASSIGN(const auto plan, Plan::create(held.model, {}));
  EXPECT_TRUE(plan->uses_factors());
  runtime::SessionOptions options;
  options.device = "cim://127.0.0.1:1";
  EXPECT_ERROR(unsupported, Session::create(plan, options));
  // A session that makes its own plan asks for the right one: here it only finds nobody at that
  // address.
  options.fallback = runtime::FallbackPolicy::never;
  const auto session = Session::create(held.model, options);
  ASSERT_FALSE(session.ok());
  if (session.error().message.find("QAMA_WITH_CIM=OFF") != std::string::npos)
    GTEST_SKIP() << "SKIPPED: this build has no drivers of the Ising machine";
  EXPECT_NE(session.error().code, ErrorCode::unsupported) << session.error().message;
}

}  // namespace
}  // namespace qama::test
