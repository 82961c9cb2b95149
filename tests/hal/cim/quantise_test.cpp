// The quantiser against the definitions in its header: exact where 8 bits are enough, bounded loss
// where they are not, both wire forms the same numbers; and the host's check of answers.
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
using test::selected;
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

// -sigma^T M sigma, straight from the vendor's definition.
std::int64_t vendor_energy(std::span<const std::int8_t> m, const std::vector<int>& sigma) {
  std::int64_t energy = 0;
  const std::size_t n = sigma.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) energy -= m[i * n + j] * sigma[i] * sigma[j];
  }
  return energy;
}

TEST(Verifier, AgreesWithTheDefinition) {
  for (const auto& [heads, tokens] :
       {std::pair{1, 1}, {1, 64}, {2, 65}, {8, 49}, {8, 64}, {3, 130}}) {
    const auto layer = random_layer(heads, tokens, 7);
    auto verifier = Verifier::create({heads, tokens});
    ASSERT_OK(verifier);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto spins = random_spins({heads, tokens}, seed);
      const std::int64_t energy = energy_of(layer.problem(), spins);
      EXPECT_EQ(verifier.value().energy(layer.problem(), spins), energy);
      EXPECT_OK(verifier.value().verify_answer(layer.problem(), spins, energy));
      EXPECT_ERROR(device_bad_answer,
                   verifier.value().verify_answer(layer.problem(), spins, energy + 1));
    }
  }
}

TEST(Verifier, RefusesWrongSizes) {
  const auto layer = random_layer(2, 49, 7);
  auto verifier = Verifier::create({2, 49});
  ASSERT_OK(verifier);
  std::vector<std::uint64_t> spins(2, 0);
  EXPECT_OK(verifier.value().verify_answer(layer.problem(), spins, 0));
  EXPECT_ERROR(device_bad_answer,
               verifier.value().verify_answer(layer.problem(), std::span(spins).first(1), 0));
  spins[1] = std::uint64_t{1} << 49;
  EXPECT_ERROR(device_bad_answer, verifier.value().verify_answer(layer.problem(), spins, 0));
  const auto larger = random_layer(2, 50, 7);
  EXPECT_ERROR(problem_too_large, verifier.value().verify_answer(larger.problem(), spins, 0));
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
    PackedEnergy packed(problem.shape);
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      const auto spins = random_spins(problem.shape, seed);
      const auto scale = static_cast<std::int64_t>(report.scale);
      EXPECT_EQ(scale * (4 * energy_of(problem, spins) - constant_of(problem)),
                packed(quantiser.block(), spins));
    }
  }
}

TEST(Quantiser, BlockAndVendorFormHaveTheSameEnergies) {
  for (const auto& [heads, tokens] : {std::pair{8, 49}, {1, 130}, {8, 64}, {2, 3}}) {
    const auto layer = random_layer(heads, tokens, 3);
    const ProblemShape shape = layer.problem().shape;
    auto quantiser = make_quantiser(shape);
    ASSERT_OK(quantiser.run(layer.problem()));
    const BlockProblem& block = quantiser.block();
    EXPECT_LE(block.spins(), 550);
    const auto width = static_cast<std::size_t>(block.spins());
    std::vector<std::int8_t> matrix(width * width);
    quantiser.expand(matrix);
    for (std::size_t i = 0; i < width; ++i) EXPECT_EQ(matrix[i * width + i], 0);
    PackedEnergy packed(shape);
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const auto spins = random_spins(shape, seed);
      std::vector<int> sigma(width, 1);
      for (std::int32_t t = 0; t < heads; ++t) {
        for (std::int32_t i = 0; i < tokens; ++i) {
          sigma[static_cast<std::size_t>(t * tokens + i)] = selected(shape, spins, t, i) ? 1 : -1;
        }
      }
      EXPECT_EQ(vendor_energy(matrix, sigma),
                2 * packed(block, spins) - block.tie * block.ancillas * (block.ancillas - 1));
    }
    // And back: integers in, the same integers out.
    std::vector<std::int8_t> couplings(coupling_count(shape));
    std::vector<std::int16_t> fields(static_cast<std::size_t>(shape.spins()));
    auto folded = fold_matrix(matrix, shape, block.ancillas, couplings, fields);
    ASSERT_OK(folded);
    EXPECT_TRUE(std::equal(couplings.begin(), couplings.end(), block.couplings.begin()));
    EXPECT_TRUE(std::equal(fields.begin(), fields.end(), block.fields.begin()));
    EXPECT_EQ(folded.value().penalty, block.penalty);
    matrix[1] = static_cast<std::int8_t>(matrix[1] == 5 ? 6 : 5);  // no longer symmetric
    EXPECT_ERROR(problem_bad_value, fold_matrix(matrix, shape, block.ancillas, couplings, fields));
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
  for (const std::int8_t j : with_many.block().couplings) EXPECT_GE(j, -127);
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
  for (const std::int8_t j : quantiser.block().couplings) EXPECT_EQ(j, 0);
  EXPECT_EQ(quantiser.block().ancillas, 1);
}

TEST(UnpackSpins, IsTheInverseOfPackingAndChecksTheRest) {
  const auto layer = random_layer(8, 49, 11);
  auto quantiser = make_quantiser({8, 49});
  ASSERT_OK(quantiser.run(layer.problem()));
  const BlockProblem& block = quantiser.block();
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto spins = random_spins(block.shape, seed);
    std::vector<std::uint8_t> packed((static_cast<std::size_t>(block.spins()) + 7) / 8);
    for (std::int32_t i = 0; i < block.spins(); ++i) {
      if (i >= 392 || selected(block.shape, spins, i / 49, i % 49)) {
        packed[static_cast<std::size_t>(i / 8)] |= static_cast<std::uint8_t>(1U << (i % 8));
      }
    }
    std::vector<std::uint64_t> out(8);
    ASSERT_OK(unpack_spins(block, packed, out));
    EXPECT_EQ(out, spins);
    EXPECT_ERROR(device_bad_answer,
                 unpack_spins(block, std::span(packed).first(packed.size() - 1), out));
    auto wrong = packed;
    wrong[49] &= static_cast<std::uint8_t>(~1U);  // spin 392: the first ancilla
    EXPECT_ERROR(device_bad_answer, unpack_spins(block, wrong, out));
    if (block.spins() % 8 != 0) {
      wrong = packed;
      wrong.back() |= 0x80;
      EXPECT_ERROR(device_bad_answer, unpack_spins(block, wrong, out));
    }
  }
}

TEST(MatrixCsv, IsOneLineARow) {
  const std::vector<std::int8_t> matrix{0, -127, 5, -127, 0, 1, 5, 1, 0};
  EXPECT_EQ(matrix_csv(matrix, 3), "0,-127,5\n-127,0,1\n5,1,0\n");
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
      const BlockProblem& block = quantiser.block();
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
