// From files to devices and back: the integers mean the file's problem, and values equal their
// definition by brute force.
#include "hal/lower/lower.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>

#include "hal/text/formats.h"
#include "tests/test_support.h"

namespace qama::hal {
namespace {

constexpr std::string_view kLayer =
    "qama small\n"
    "2 3 2 1.5 0.25\n"
    "1 -1\n"
    "0.5 1 2\n"
    "-0.25 0.5 -1\n"
    "+1e-1 -2 0.125\n"
    "-1 -1\n"
    "0 1 1\n"
    "1 0 3\n"
    "2 -1 0\n";

/// Eq. 3 as it is written, from the numbers of kLayer.
double layer_energy(const QamaLayer& p, unsigned bits) {
  const auto s = [&](int t, int i) { return (bits >> (t * p.tokens + i)) & 1U; };
  double energy = 0;
  for (int t = 0; t < p.heads; ++t) {
    for (int i = 0; i < p.tokens; ++i) {
      energy -= p.rho * p.fields[t * p.tokens + i] * s(t, i);
      for (int j = i + 1; j < p.tokens; ++j) {
        double coupling = 0;
        for (int d = 0; d < p.rank; ++d) {
          coupling += p.signs[t * p.rank + d] * p.factors[(t * p.tokens + i) * p.rank + d] *
                      p.factors[(t * p.tokens + j) * p.rank + d];
        }
        energy -= coupling * s(t, i) * s(t, j);
      }
    }
  }
  for (int i = 0; i < p.tokens; ++i) {
    for (int t = 0; t < p.heads; ++t) {
      for (int u = t + 1; u < p.heads; ++u) energy += p.lambda * s(t, i) * s(u, i);
    }
  }
  return energy;
}

TEST(Lower, EnergyAndIntegersOfALayerEqualTheDefinition) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(kLayer, "file", "qama"));
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  const DenseView& problem = build.buffer.problem();
  EXPECT_OK(validate(problem));
  for (unsigned bits = 0; bits < 64; ++bits) {
    const std::uint64_t spins[] = {bits & 7U, bits >> 3};
    const double expected = layer_energy(file.layer, bits);
    EXPECT_NEAR(energy_of(file.layer, spins), expected, 1e-12) << bits;
    const double rounded = static_cast<double>(energy_of(problem, spins)) / problem.scale;
    EXPECT_NEAR(rounded, expected, 12 * 0.5 / problem.scale + 1e-6) << bits;
  }
}

TEST(Lower, MaxCutIsExactInIntegers) {
  ASSERT_OK_AND_ASSIGN(
      const ProblemFile file,
      parse_problem("4 6\n1 2 3\n2 3 -1\n3 4 2\n4 1 5\n1 3 4\n3 1 1\n", "file", "maxcut"));
  EXPECT_EQ(file.graph.edges.size(), 5U);  // 1-3 twice
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_TRUE(build.decode.exact);
  EXPECT_EQ(build.decode.fixed, 0);  // 3 + 5 + 5
  const DenseView& problem = build.buffer.problem();
  EXPECT_OK(validate(problem));
  EXPECT_EQ(problem.scale, 1.0);
  const int weights[4][4] = {{0, 3, 5, 5}, {3, 0, -1, 0}, {5, -1, 0, 2}, {5, 0, 2, 0}};
  for (unsigned bits = 0; bits < 16; bits += 2) {
    int cut = 0;
    for (int i = 0; i < 4; ++i) {
      for (int j = i + 1; j < 4; ++j) {
        if (((bits >> i) & 1U) != ((bits >> j) & 1U)) cut += weights[i][j];
      }
    }
    const std::uint64_t spins[] = {bits};
    EXPECT_EQ(value_of(file, spins), cut) << bits;
    EXPECT_EQ(energy_of(problem, spins), -cut) << bits;
  }
}

// A complete graph of two weights: no vertex is fixed, so that there is no third coupling.
TEST(Lower, CompleteGraphOfTwoWeightsStaysTwoValued) {
  ASSERT_OK_AND_ASSIGN(
      const ProblemFile file,
      parse_problem("4 6\n1 2 1\n1 3 -1\n1 4 1\n2 3 1\n2 4 -1\n3 4 -1\n", "file", "maxcut"));
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_TRUE(build.decode.exact);
  EXPECT_EQ(build.decode.fixed, -1);
  const DenseView& problem = build.buffer.problem();
  EXPECT_OK(validate(problem));
  EXPECT_NEAR(problem.row_norm, std::sqrt(3 * 4.0), 1e-12);
  for (unsigned bits = 0; bits < 16; ++bits) {
    const std::uint64_t spins[] = {bits};
    EXPECT_EQ(energy_of(problem, spins), -value_of(file, spins)) << bits;
  }
}

TEST(Lower, MaxCutTooHeavyForIntegersIsRounded) {
  ASSERT_OK_AND_ASSIGN(
      const ProblemFile file,
      parse_problem("4 4\n1 2 1000000\n2 3 700001\n3 4 3\n2 4 -500000\n", "file", "maxcut"));
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_FALSE(build.decode.exact);
  const DenseView& problem = build.buffer.problem();
  EXPECT_OK(validate(problem));
  for (unsigned bits = 0; bits < 16; ++bits) {
    if (((bits >> build.decode.fixed) & 1U) != 0) continue;
    const std::uint64_t spins[] = {bits};
    EXPECT_NEAR(static_cast<double>(-energy_of(problem, spins)) / problem.scale,
                value_of(file, spins), 8 / problem.scale);
  }
}

// A device's spin of the fixed vertex means nothing: the answer has it on side 0, and larger cuts
// are better.
TEST(Lower, AnAnswerIsReadInTheFilesTerms) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("3 2\n1 2 3\n1 3 4\n", "file", "maxcut"));
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  ASSERT_EQ(build.decode.fixed, 0);
  std::uint64_t spins[] = {0b111};
  build.decode.fix(spins);
  EXPECT_EQ(value_of(file, spins), 7);
  EXPECT_EQ(spins[0], 0b110U);
  EXPECT_TRUE(build.decode.maximises());
  EXPECT_TRUE(build.decode.better(7, 3));
  ASSERT_OK_AND_ASSIGN(const ProblemFile qubo, parse_problem("2 1\n1 1 -2\n", "file", "qubo"));
  ASSERT_OK_AND_ASSIGN(const SparseBuild rows, to_sparse(qubo));
  std::uint64_t one[] = {1};
  rows.decode.fix(one);
  EXPECT_EQ(value_of(qubo, one), -2);
  EXPECT_EQ(one[0], 1U);
  EXPECT_FALSE(rows.decode.maximises());
  EXPECT_TRUE(rows.decode.better(-2, 0));
}

TEST(Lower, QuboWithLinearTerms) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("3 5\n1 1 -2\n2 2 1\n1 2 3\n3 2 -4\n2 1 1\n", "file", "qubo"));
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_TRUE(build.decode.exact);
  EXPECT_EQ(build.decode.fixed, -1);
  EXPECT_OK(validate(build.buffer.problem()));
  for (unsigned bits = 0; bits < 8; ++bits) {
    const int x1 = bits & 1U, x2 = (bits >> 1) & 1U, x3 = (bits >> 2) & 1U;
    const int expected = -2 * x1 + x2 + 4 * x1 * x2 - 4 * x2 * x3;
    const std::uint64_t spins[] = {bits};
    EXPECT_EQ(value_of(file, spins), expected) << bits;
    EXPECT_EQ(energy_of(build.buffer.problem(), spins), expected) << bits;
  }
}

TEST(Lower, QuboOfFractionsAndOfExtremes) {
  for (const char* text : {"2 2\n1 1 0.125\n1 2 -3.7\n", "2 1\n1 2 1e300\n", "2 1\n1 2 5e-324\n",
                           "2 2\n1 1 1e-310\n2 2 -1e-310\n"}) {
    ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(text, "file", "qubo"));
    ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
    EXPECT_FALSE(build.decode.exact);
    EXPECT_OK(validate(build.buffer.problem()));
  }
  ASSERT_OK_AND_ASSIGN(const ProblemFile overflow,
                       parse_problem("2 2\n1 1 1e308\n1 2 1e308\n", "file", "qubo"));
  EXPECT_ERROR(problem_bad_value, to_dense(overflow));
}

// Two heads of two spins, every term different: couplings, fields, the penalty of a token in both
// heads.
TEST(Lower, ADenseViewAsAQuadraticForm) {
  const std::int64_t stride = row_stride(2);
  std::vector<std::int16_t> couplings(static_cast<std::size_t>(4 * stride));
  std::vector<std::int16_t> fields(static_cast<std::size_t>(2 * stride));
  for (std::size_t t = 0; t < 2; ++t) {
    const auto value = static_cast<std::int16_t>(t == 0 ? 7 : -9);
    couplings[(2 * t) * 64 + 1] = couplings[(2 * t + 1) * 64] = value;
    fields[t * 64] = static_cast<std::int16_t>(3 + 10 * t);
    fields[t * 64 + 1] = static_cast<std::int16_t>(-5 - 10 * static_cast<int>(t));
  }
  DenseView problem;
  problem.shape = {2, 2};
  problem.couplings = couplings.data();
  problem.fields = fields.data();
  problem.penalty = 11;
  problem.scale = 4;
  ASSERT_OK(validate(problem));
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem(to_text(to_qubo(problem)), "file", "qubo"));
  ASSERT_EQ(file.graph.size, 4);
  for (unsigned bits = 0; bits < 16; ++bits) {
    const std::uint64_t heads[] = {bits & 3U, bits >> 2};
    const std::uint64_t flat[] = {bits};
    EXPECT_EQ(value_of(file, flat), static_cast<double>(energy_of(problem, heads)) / 4) << bits;
  }
}

TEST(Lower, OneHeadHasNoPenaltyHoweverLargeLambda) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("qama x\n1 2 1 1 250\n1\n0.5 1\n0.25 2\n", "file", "qama"));
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_OK(validate(build.buffer.problem()));
}

TEST(Lower, NoEdgesAtAll) {
  for (const char* format : {"maxcut", "qubo"}) {
    ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem("70 0\n", "file", format));
    ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
    EXPECT_OK(validate(build.buffer.problem()));
  }
}

TEST(Lower, TooLargeToSolveDensely) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem("20000 1\n1 2 1\n", "file", "maxcut"));
  EXPECT_ERROR(problem_too_large, to_dense(file));
}

// The same integers as the matrix, pair by pair, whatever rounding or fixing went before.
TEST(Lower, RowsOfNeighboursAreTheMatrix) {
  for (const char* text :
       {"maxcut 4 6\n1 2 3\n2 3 -1\n3 4 2\n4 1 5\n1 3 4\n3 1 1\n",
        "maxcut 4 6\n1 2 1\n1 3 -1\n1 4 1\n2 3 1\n2 4 -1\n3 4 -1\n",
        "maxcut 4 4\n1 2 1000000\n2 3 700001\n3 4 3\n2 4 -500000\n", "maxcut 70 0\n",
        "maxcut 3 1\n1 2 0\n", "qubo 3 5\n1 1 -2\n2 2 1\n1 2 3\n3 2 -4\n2 1 1\n",
        "qubo 2 2\n1 1 0.125\n1 2 -3.7\n"}) {
    SCOPED_TRACE(text);
    const std::string_view line = text;
    const std::size_t space = line.find(' ');
    ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                         parse_problem(line.substr(space), "file", line.substr(0, space)));
    ASSERT_OK_AND_ASSIGN(const DenseBuild matrix, to_dense(file));
    ASSERT_OK_AND_ASSIGN(const SparseBuild rows, to_sparse(file));
    const DenseView& dense = matrix.buffer.problem();
    const SparseView& sparse = rows.problem;
    EXPECT_OK(validate(sparse));
    EXPECT_EQ(rows.decode.exact, matrix.decode.exact);
    EXPECT_EQ(rows.decode.fixed, matrix.decode.fixed);
    EXPECT_EQ(sparse.scale, dense.scale);
    EXPECT_EQ(sparse.row_norm, dense.row_norm);
    ASSERT_EQ(sparse.spins, dense.shape.tokens);
    for (std::int32_t i = 0; i < sparse.spins; ++i) {
      EXPECT_EQ(sparse.fields[i], dense.fields[i]);
      std::int64_t next = sparse.first[i];
      for (std::int32_t j = 0; j < sparse.spins; ++j) {
        const bool here = next < sparse.first[i + 1] && sparse.neighbours[next].spin == j;
        EXPECT_EQ(here ? sparse.neighbours[next].coupling : 0,
                  dense.couplings[i * row_stride(sparse.spins) + j]);
        if (here) ++next;
      }
      EXPECT_EQ(next, sparse.first[i + 1]);
    }
  }
  ASSERT_OK_AND_ASSIGN(const ProblemFile layer, parse_problem(kLayer, "file", "qama"));
  EXPECT_ERROR(invalid_argument, to_sparse(layer));
}

// A variable with more terms than rounding leaves room for in 16 bits.
TEST(Lower, AStarWithMoreRaysThanNumbers) {
  constexpr int kRays = 70000;
  std::string text = std::to_string(kRays + 1) + " " + std::to_string(kRays) + "\n";
  for (int i = 2; i <= kRays + 1; ++i)
    text += "1 " + std::to_string(i) + (i == 2 ? " 1e6\n" : " 0.5\n");
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(text, "file", "qubo"));
  ASSERT_OK_AND_ASSIGN(const SparseBuild rows, to_sparse(file));
  EXPECT_FALSE(rows.decode.exact);
  EXPECT_OK(validate(rows.problem));
  EXPECT_EQ(rows.neighbours.size(), 2U);  // the others round to 0 beside the heavy one
}

TEST(Lower, ALayerAsFactors) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(kLayer, "file", "qama"));
  ASSERT_OK_AND_ASSIGN(const FactorsBuild build, to_factors(file));
  const FactorsView& problem = build.problem;
  EXPECT_EQ(problem.shape.heads, 2);
  EXPECT_EQ(problem.rank, 2);
  EXPECT_NE(problem.left, problem.right);
  EXPECT_FLOAT_EQ(problem.fields[2], 0.15F);
  EXPECT_EQ(problem.penalty, 0.25F);
  for (int t = 0; t < 2; ++t) {
    for (int i = 0; i < 3; ++i) {
      for (int d = 0; d < 2; ++d) {
        const int at = (t * 3 + i) * 2 + d;
        EXPECT_FLOAT_EQ(problem.right[at],
                        static_cast<float>(file.layer.signs[t * 2 + d]) * problem.left[at]);
      }
    }
  }
  ProblemFile plus = file;
  plus.layer.signs.assign(4, 1.0);
  ASSERT_OK_AND_ASSIGN(const FactorsBuild symmetric, to_factors(plus));
  EXPECT_EQ(symmetric.problem.left, symmetric.problem.right);
  plus.layer.rank = kMaxRankLimit + 1;
  EXPECT_ERROR(problem_too_large, to_factors(plus));
}

TEST(Lower, SharedInstancesAreReadAndRounded) {
  QAMA_SHARED_OR_SKIP(path, "instances/qama/norm_8x49x8_s1.txt");
  std::ifstream stream(path);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(text, path.string()));
  EXPECT_EQ(file.kind, ProblemKind::qama);
  EXPECT_EQ(file.shape().spins(), 392);
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_OK(validate(build.buffer.problem()));
}

}  // namespace
}  // namespace qama::hal
