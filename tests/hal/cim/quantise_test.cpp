// The quantiser against the definitions in its header: exact where 8 bits are enough, bounded loss
// where they are not.
#include "hal/cim/quantise.h"

#include <fstream>
#include <sstream>

#include "hal/device.h"
#include "hal/lower/lower.h"
#include "hal/text/formats.h"
#include "hal/verify.h"
#include "tests/hal/cim/problems.h"

namespace qama::hal::cim {
namespace {

using test::random_layer;
using test::random_spins;
using test::small_integers;

Quantiser make_quantiser(const ProblemShape& shape, QuantiseOptions options = {}) {
  auto made = Quantiser::create(shape, options);
  EXPECT_OK(made);
  return std::move(made).value();
}

// C of the header's equation.
std::int64_t constant_of(const DenseView& p) {
  const std::int32_t n = p.shape.tokens;
  const auto stride = static_cast<std::size_t>(row_stride(n));
  std::int64_t sum = 0;
  for (std::int32_t t = 0; t < p.shape.heads; ++t) {
    for (std::int32_t i = 0; i < n; ++i) {
      sum -= 2 * p.fields[t * stride + i];
      for (std::int32_t j = i + 1; j < n; ++j) sum -= p.couplings[(t * n + i) * stride + j];
    }
  }
  return sum + static_cast<std::int64_t>(p.penalty) * n * p.shape.heads * (p.shape.heads - 1) / 2;
}

TEST(Quantiser, IsExactWhereEightBitsAreEnough) {
  for (const auto& [heads, tokens] : {std::pair{1, 2}, {2, 5}, {4, 7}, {1, 20}}) {
    const auto layer = small_integers(heads, tokens, 6, static_cast<std::uint64_t>(tokens));
    const DenseView& problem = layer.problem();
    auto quantiser = make_quantiser(problem.shape);
    QuantiseReport report;
    ASSERT_OK(quantiser.run(problem, &report));
    EXPECT_TRUE(report.exact);
    EXPECT_EQ(report.max_error, 0);
    QuantisedEnergy packed(problem.shape);
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      const auto spins = random_spins(problem.shape, seed);
      const auto scale = static_cast<std::int64_t>(report.scale);
      EXPECT_EQ(scale * (4 * energy_of(problem, spins) - constant_of(problem)),
                packed(quantiser.view(), spins));
    }
  }
}

TEST(Quantiser, MoreAncillasKeepMoreOfTheCouplings) {
  const auto layer = random_layer(8, 49, 11);
  QuantiseReport one;
  QuantiseReport many;
  QuantiseOptions options;
  options.ancillas = 1;
  auto with_one = make_quantiser({8, 49}, options);
  ASSERT_OK(with_one.run(layer.problem(), &one));
  auto with_many = make_quantiser({8, 49});
  ASSERT_OK(with_many.run(layer.problem(), &many));
  EXPECT_EQ(one.ancillas, 1);
  EXPECT_GT(many.ancillas, 2);
  EXPECT_GT(many.coupling_deviation, 3 * one.coupling_deviation);
  EXPECT_LT(many.zeroed_share, one.zeroed_share);
  EXPECT_LE(many.max_error, 0.51);
  EXPECT_EQ(many.clipped, 0);
  for (const std::int8_t j : with_many.view().couplings) EXPECT_GE(j, -127);
}

TEST(Quantiser, ClipsOnlyWhenAsked) {
  const auto layer = random_layer(2, 10, 5);
  QuantiseOptions options;
  options.scale = 1.0;
  auto refusing = make_quantiser({2, 10}, options);
  EXPECT_ERROR(problem_bad_value, refusing.run(layer.problem()));
  options.allow_clipping = true;
  auto clipping = make_quantiser({2, 10}, options);
  QuantiseReport report;
  ASSERT_OK(clipping.run(layer.problem(), &report));
  EXPECT_GT(report.clipped, 0);
  EXPECT_FALSE(report.exact);
}

TEST(Quantiser, RefusesWhatTheMachineDoesNotHold) {
  EXPECT_OK(Quantiser::create({1, 549}, {}));
  EXPECT_ERROR(problem_too_large, Quantiser::create({1, 550}, {}));
  EXPECT_ERROR(problem_too_large, Quantiser::create({1, 551}, {}));
  QuantiseOptions options;
  options.ancillas = kMaxAncillas + 1;
  EXPECT_ERROR(invalid_argument, Quantiser::create({1, 2}, options));
  auto quantiser = make_quantiser({2, 10});
  EXPECT_ERROR(problem_too_large, quantiser.run(random_layer(2, 11, 1).problem()));
}

TEST(Quantiser, TakesAProblemOfZeros) {
  const auto layer = small_integers(2, 3, 0, 1);
  auto quantiser = make_quantiser({2, 3});
  ASSERT_OK(quantiser.run(layer.problem()));
  for (const std::int8_t j : quantiser.view().couplings) EXPECT_EQ(j, 0);
  EXPECT_EQ(quantiser.view().ancillas, 1);
}

// What 8 bits cost on the shared instances: the annealer solves the rounded problem, its spins are
// priced in the true one. Bounds are loose; the figures are printed for README.
TEST(QuantiserLoss, OnSharedInstances) {
  QAMA_SHARED_OR_SKIP(folder, "instances/qama");
  auto cpu = open_device("cpu:");
  ASSERT_OK(cpu);
  for (const char* name : {"norm0_8x49x8_s1", "norm_8x49x8_s1", "norm0_8x64x16_s1"}) {
    std::ifstream stream(folder / (std::string(name) + ".txt"));
    std::stringstream text;
    text << stream.rdbuf();
    auto file = parse_problem(text.str(), name, "qama");
    ASSERT_OK(file);
    auto built = to_dense(file.value());
    ASSERT_OK(built);
    const DenseView& problem = built.value().buffer.problem();
    auto solver = cpu.value()->compile(problem.shape);
    ASSERT_OK(solver);
    SolveOptions solve;
    solve.schedule.sweeps = 60;
    solve.schedule.restarts = 16;
    std::vector<std::uint64_t> spins(static_cast<std::size_t>(problem.shape.heads) *
                                     words_per_head(problem.shape.tokens));
    SolveResult best;
    ASSERT_OK(solver.value()->solve(problem, solve, spins, best));
    for (const std::int32_t ancillas : {1, 0}) {
      QuantiseOptions options;
      options.ancillas = ancillas;
      auto quantiser = make_quantiser(problem.shape, options);
      QuantiseReport report;
      ASSERT_OK(quantiser.run(problem, &report));
      // The rounded problem as a DenseView of its own: W = J, 2 b = F - sum J + (H-1) P.
      const QuantisedView& block = quantiser.view();
      auto rounded = ProblemBuffer::create(problem.shape);
      ASSERT_OK(rounded);
      const auto target = rounded.value().target(problem.shape);
      const auto stride = static_cast<std::size_t>(row_stride(problem.shape.tokens));
      const std::int32_t n = problem.shape.tokens;
      const std::int8_t* from = block.couplings.data();
      for (std::int32_t t = 0; t < problem.shape.heads; ++t) {
        for (std::int32_t i = 0; i < n; ++i) {
          for (std::int32_t j = i + 1; j < n; ++j) {
            const auto value = static_cast<std::int16_t>(2 * *from++);
            target.couplings[(t * n + i) * stride + j] = value;
            target.couplings[(t * n + j) * stride + i] = value;
          }
        }
        for (std::int32_t i = 0; i < n; ++i) {
          std::int32_t sum = 0;
          for (std::int32_t j = 0; j < n; ++j)
            sum += target.couplings[(t * n + i) * stride + j] / 2;
          target.fields[t * stride + i] = static_cast<std::int16_t>(
              block.fields[t * n + i] - sum + (problem.shape.heads - 1) * block.penalty);
        }
      }
      target.problem->penalty = static_cast<std::int16_t>(2 * block.penalty);
      ASSERT_OK(validate(*target.problem));
      SolveResult result;
      ASSERT_OK(solver.value()->solve(*target.problem, solve, spins, result));
      const double loss = 100.0 * static_cast<double>(energy_of(problem, spins) - best.energy) /
                          static_cast<double>(-best.energy);
      std::printf(
          "%-18s k = %2d: deviation %5.1f steps, %4.1f %% of couplings at 0, energy loss %.3f %%\n",
          name, block.ancillas, report.coupling_deviation, 100 * report.zeroed_share, loss);
      EXPECT_LT(loss, ancillas == 0 ? 0.3 : 3.0) << name;
    }
  }
}

}  // namespace
}  // namespace qama::hal::cim
