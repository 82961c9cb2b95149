// Problem files: what is read equals its definition by brute force, and the integers handed to
// devices mean the same problem.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>

#include "hal/text/problem_io.h"
#include "tests/test_support.h"

namespace qama::hal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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

std::string error_of(std::string_view text, ProblemFormat format) {
  return test::describe(parse_problem(text, format, "file"));
}

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

TEST(ProblemIo, LayerIsRead) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(kLayer, ProblemFormat::qama, "file"));
  EXPECT_EQ(file.layer.name, "small");
  EXPECT_EQ(file.shape().heads, 2);
  EXPECT_EQ(file.shape().tokens, 3);
  EXPECT_EQ(file.layer.rho, 1.5);
  EXPECT_EQ(file.layer.lambda, 0.25);
  EXPECT_THAT(file.layer.signs, ElementsAre(1, -1, -1, -1));
  EXPECT_THAT(file.layer.fields, ElementsAre(0.5, -0.25, 0.1, 0, 1, 2));
}

TEST(ProblemIo, EnergyAndIntegersOfALayerEqualTheDefinition) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(kLayer, ProblemFormat::qama, "file"));
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

TEST(ProblemIo, WrittenLayerReadsBackTheSame) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(kLayer, ProblemFormat::qama, "file"));
  const std::string text = to_text(file.layer);
  ASSERT_OK_AND_ASSIGN(const ProblemFile again, parse_problem(text, ProblemFormat::qama, "again"));
  EXPECT_EQ(again.layer.name, file.layer.name);
  EXPECT_EQ(again.layer.signs, file.layer.signs);
  EXPECT_EQ(again.layer.fields, file.layer.fields);
  EXPECT_EQ(again.layer.factors, file.layer.factors);
  EXPECT_EQ(to_text(again.layer), text);
}

TEST(ProblemIo, MaxCutIsExactInIntegers) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("4 6\n1 2 3\n2 3 -1\n3 4 2\n4 1 5\n1 3 4\n3 1 1\n",
                                     ProblemFormat::maxcut, "file"));
  EXPECT_EQ(file.graph.edges.size(), 5U);  // 1-3 twice
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_TRUE(build.exact);
  EXPECT_EQ(build.fixed, 0);  // 3 + 5 + 5
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
    EXPECT_EQ(cut_of(file.graph, spins), cut) << bits;
    EXPECT_EQ(energy_of(problem, spins), -cut) << bits;
  }
}

// A complete graph of two weights: no vertex is fixed, so that there is no third coupling.
TEST(ProblemIo, CompleteGraphOfTwoWeightsStaysTwoValued) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("4 6\n1 2 1\n1 3 -1\n1 4 1\n2 3 1\n2 4 -1\n3 4 -1\n",
                                     ProblemFormat::maxcut, "file"));
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_TRUE(build.exact);
  EXPECT_EQ(build.fixed, -1);
  const DenseView& problem = build.buffer.problem();
  EXPECT_OK(validate(problem));
  EXPECT_NEAR(problem.row_norm, std::sqrt(3 * 4.0), 1e-12);
  for (unsigned bits = 0; bits < 16; ++bits) {
    const std::uint64_t spins[] = {bits};
    EXPECT_EQ(energy_of(problem, spins), -cut_of(file.graph, spins)) << bits;
  }
}

TEST(ProblemIo, MaxCutTooHeavyForIntegersIsRounded) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("4 4\n1 2 1000000\n2 3 700001\n3 4 3\n2 4 -500000\n",
                                     ProblemFormat::maxcut, "file"));
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_FALSE(build.exact);
  const DenseView& problem = build.buffer.problem();
  EXPECT_OK(validate(problem));
  for (unsigned bits = 0; bits < 16; ++bits) {
    if (((bits >> build.fixed) & 1U) != 0) continue;
    const std::uint64_t spins[] = {bits};
    EXPECT_NEAR(static_cast<double>(-energy_of(problem, spins)) / problem.scale,
                static_cast<double>(cut_of(file.graph, spins)), 8 / problem.scale);
  }
}

TEST(ProblemIo, QuboWithLinearTerms) {
  ASSERT_OK_AND_ASSIGN(
      const ProblemFile file,
      parse_problem("3 5\n1 1 -2\n2 2 1\n1 2 3\n3 2 -4\n2 1 1\n", ProblemFormat::qubo, "file"));
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_TRUE(build.exact);
  EXPECT_EQ(build.fixed, -1);
  EXPECT_OK(validate(build.buffer.problem()));
  for (unsigned bits = 0; bits < 8; ++bits) {
    const int x1 = bits & 1U, x2 = (bits >> 1) & 1U, x3 = (bits >> 2) & 1U;
    const int expected = -2 * x1 + x2 + 4 * x1 * x2 - 4 * x2 * x3;
    const std::uint64_t spins[] = {bits};
    EXPECT_EQ(qubo_energy_of(file.graph, spins), expected) << bits;
    EXPECT_EQ(energy_of(build.buffer.problem(), spins), expected) << bits;
  }
}

TEST(ProblemIo, QuboOfFractionsAndOfExtremes) {
  for (const char* text : {"2 2\n1 1 0.125\n1 2 -3.7\n", "2 1\n1 2 1e300\n", "2 1\n1 2 5e-324\n",
                           "2 2\n1 1 1e-310\n2 2 -1e-310\n"}) {
    ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(text, ProblemFormat::qubo, "file"));
    ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
    EXPECT_FALSE(build.exact);
    EXPECT_OK(validate(build.buffer.problem()));
  }
  ASSERT_OK_AND_ASSIGN(const ProblemFile overflow,
                       parse_problem("2 2\n1 1 1e308\n1 2 1e308\n", ProblemFormat::qubo, "file"));
  EXPECT_ERROR(problem_bad_value, to_dense(overflow));
}

// Two heads of two spins, every term different: couplings, fields, the penalty of a token in both
// heads.
TEST(ProblemIo, ADenseViewAsAQuadraticForm) {
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
                       parse_problem(to_text(to_qubo(problem)), ProblemFormat::qubo, "file"));
  ASSERT_EQ(file.graph.size, 4);
  for (unsigned bits = 0; bits < 16; ++bits) {
    const std::uint64_t heads[] = {bits & 3U, bits >> 2};
    const std::uint64_t flat[] = {bits};
    EXPECT_EQ(qubo_energy_of(file.graph, flat), static_cast<double>(energy_of(problem, heads)) / 4)
        << bits;
  }
}

TEST(ProblemIo, OneHeadHasNoPenaltyHoweverLargeLambda) {
  ASSERT_OK_AND_ASSIGN(
      const ProblemFile file,
      parse_problem("qama x\n1 2 1 1 250\n1\n0.5 1\n0.25 2\n", ProblemFormat::qama, "file"));
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_OK(validate(build.buffer.problem()));
}

TEST(ProblemIo, NoEdgesAtAll) {
  for (const ProblemFormat format : {ProblemFormat::maxcut, ProblemFormat::qubo}) {
    ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem("70 0\n", format, "file"));
    ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
    EXPECT_OK(validate(build.buffer.problem()));
  }
}

TEST(ProblemIo, FormatIsSniffed) {
  EXPECT_EQ(sniff_format(kLayer, "x.mc"), ProblemFormat::qama);
  EXPECT_EQ(sniff_format("3 1\n1 2 1\n", "x"), ProblemFormat::maxcut);
  EXPECT_EQ(sniff_format("3 2\n1 2 1\n2 2 1\n", "x"), ProblemFormat::qubo);
  EXPECT_EQ(sniff_format("3 1\n1 2 1\n", "x.qubo"), ProblemFormat::qubo);
  EXPECT_EQ(sniff_format("", "x"), ProblemFormat::maxcut);
  EXPECT_OK(parse_problem_format("qubo"));
  EXPECT_ERROR(invalid_argument, parse_problem_format("ising"));
}

TEST(ProblemIo, ErrorsNameTheLine) {
  using enum ProblemFormat;
  EXPECT_EQ(error_of("", qama),
            "PROBLEM_BAD_FORMAT: problem 'file', line 1: expected 'qama' and a name");
  EXPECT_EQ(error_of("qama x\n1 2\n", qama),
            "PROBLEM_BAD_FORMAT: problem 'file', line 3: number of columns is missing, expected a "
            "whole number");
  EXPECT_THAT(error_of("qama x\n0 2 1 1 0\n", qama), HasSubstr("PROBLEM_BAD_FORMAT"));
  EXPECT_THAT(error_of("qama x\n65 2 1 1 0\n", qama), HasSubstr("PROBLEM_TOO_LARGE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 -1\n1\n0 0\n", qama), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 nan 0\n1\n0 0\n", qama), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1e999 0\n1\n0 0\n", qama), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 0\n2\n0 0\n", qama),
              HasSubstr("PROBLEM_BAD_VALUE: problem 'file', line 3: a column's sign"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 0\n1\n0 1,5\n", qama),
              HasSubstr("PROBLEM_BAD_FORMAT: problem 'file', line 4: a factor is '1,5'"));
  EXPECT_THAT(error_of("qama x\n1 1 1 1 0\n1\n0 0\n7\n", qama), HasSubstr("line 5: '7' follows"));
  EXPECT_THAT(error_of("3 2\n1 2 1\n", maxcut), HasSubstr("too short for 2 lines"));
  EXPECT_THAT(error_of("3 1\n1 4 1\n", maxcut), HasSubstr("PROBLEM_TOO_LARGE"));
  EXPECT_THAT(error_of("3 1\n0 1 1\n", maxcut),
              HasSubstr("PROBLEM_BAD_FORMAT: problem 'file', line 2: index i is 0"));
  EXPECT_THAT(error_of("3 1\n2 2 1\n", maxcut), HasSubstr("to itself"));
  EXPECT_THAT(error_of("3 1\n1 2 0.5\n", maxcut), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("3 1\n1 2 1e30\n", maxcut), HasSubstr("PROBLEM_BAD_VALUE"));
  EXPECT_THAT(error_of("3 1\n1 2 1 1\n", maxcut), HasSubstr("follows the last number"));
  EXPECT_THAT(error_of("3 -1\n", maxcut), HasSubstr("PROBLEM_BAD_FORMAT"));
  EXPECT_THAT(error_of("3.0 1\n1 2 1\n", qubo), HasSubstr("expected a whole number"));
  EXPECT_THAT(error_of("99999999999999999999 1\n1 2 1\n", qubo), HasSubstr("PROBLEM_BAD_FORMAT"));
  EXPECT_THAT(error_of("3 1\n1 2 inf\n", qubo), HasSubstr("PROBLEM_BAD_VALUE"));
}

TEST(ProblemIo, SizesAreCheckedAgainstTheBytesThatAreThere) {
  EXPECT_THAT(error_of("qama x\n64 1048576 4096 1 0\n1 1\n", ProblemFormat::qama),
              HasSubstr("too short for 64 heads"));
  EXPECT_THAT(error_of("9 2147483647\n1 2 1\n", ProblemFormat::maxcut), HasSubstr("too short"));
}

TEST(ProblemIo, TooLargeToSolveDensely) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("20000 1\n1 2 1\n", ProblemFormat::maxcut, "file"));
  EXPECT_ERROR(problem_too_large, to_dense(file));
}

// The same integers as the matrix, pair by pair, whatever rounding or fixing went before.
TEST(ProblemIo, RowsOfNeighboursAreTheMatrix) {
  for (const char* text :
       {"maxcut 4 6\n1 2 3\n2 3 -1\n3 4 2\n4 1 5\n1 3 4\n3 1 1\n",
        "maxcut 4 6\n1 2 1\n1 3 -1\n1 4 1\n2 3 1\n2 4 -1\n3 4 -1\n",
        "maxcut 4 4\n1 2 1000000\n2 3 700001\n3 4 3\n2 4 -500000\n", "maxcut 70 0\n",
        "maxcut 3 1\n1 2 0\n", "qubo 3 5\n1 1 -2\n2 2 1\n1 2 3\n3 2 -4\n2 1 1\n",
        "qubo 2 2\n1 1 0.125\n1 2 -3.7\n"}) {
    SCOPED_TRACE(text);
    const std::string_view line = text;
    const ProblemFormat format =
        line.starts_with("qubo") ? ProblemFormat::qubo : ProblemFormat::maxcut;
    ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                         parse_problem(line.substr(line.find(' ')), format, "file"));
    ASSERT_OK_AND_ASSIGN(const DenseBuild matrix, to_dense(file));
    ASSERT_OK_AND_ASSIGN(const SparseBuild rows, to_sparse(file));
    const DenseView& dense = matrix.buffer.problem();
    const SparseView& sparse = rows.problem;
    EXPECT_OK(validate(sparse, static_cast<std::int64_t>(rows.neighbours.size())));
    EXPECT_EQ(rows.exact, matrix.exact);
    EXPECT_EQ(rows.fixed, matrix.fixed);
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
  ASSERT_OK_AND_ASSIGN(const ProblemFile layer, parse_problem(kLayer, ProblemFormat::qama, "file"));
  EXPECT_ERROR(invalid_argument, to_sparse(layer));
}

// A variable with more terms than rounding leaves room for in 16 bits.
TEST(ProblemIo, AStarWithMoreRaysThanNumbers) {
  constexpr int kRays = 70000;
  std::string text = std::to_string(kRays + 1) + " " + std::to_string(kRays) + "\n";
  for (int i = 2; i <= kRays + 1; ++i)
    text += "1 " + std::to_string(i) + (i == 2 ? " 1e6\n" : " 0.5\n");
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(text, ProblemFormat::qubo, "file"));
  ASSERT_OK_AND_ASSIGN(const SparseBuild rows, to_sparse(file));
  EXPECT_FALSE(rows.exact);
  EXPECT_OK(validate(rows.problem, static_cast<std::int64_t>(rows.neighbours.size())));
  EXPECT_EQ(rows.neighbours.size(), 2U);  // the others round to 0 beside the heavy one
}

TEST(ProblemIo, ALayerAsFactors) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file, parse_problem(kLayer, ProblemFormat::qama, "file"));
  ASSERT_OK_AND_ASSIGN(const FactorsBuild build, to_factors(file.layer));
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
  QamaLayer plus = file.layer;
  plus.signs.assign(4, 1.0);
  ASSERT_OK_AND_ASSIGN(const FactorsBuild symmetric, to_factors(plus));
  EXPECT_EQ(symmetric.problem.left, symmetric.problem.right);
  plus.rank = kMaxRankLimit + 1;
  EXPECT_ERROR(problem_too_large, to_factors(plus));
}

TEST(ProblemIo, SharedInstancesAreReadAndRounded) {
  QAMA_SHARED_OR_SKIP(path, "instances/qama/norm_8x49x8_s1.txt");
  std::ifstream stream(path);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  ASSERT_EQ(sniff_format(text, path.string()), ProblemFormat::qama);
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem(text, ProblemFormat::qama, path.string()));
  EXPECT_EQ(file.shape().spins(), 392);
  ASSERT_OK_AND_ASSIGN(const DenseBuild build, to_dense(file));
  EXPECT_OK(validate(build.buffer.problem()));
}

}  // namespace
}  // namespace qama::hal
