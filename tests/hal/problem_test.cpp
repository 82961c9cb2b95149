// The integer problem itself: its energy against the definition, every rule of validate(), and the
// rounding of real layers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "hal/lower/problem_builder.h"
#include "hal/problem.h"
#include "tests/hal/cpu/hal_test_support.h"
#include "tests/test_support.h"

namespace qama::hal::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::uint64_t> random_spins(const ProblemShape& shape, Random& random) {
  const std::int32_t words = words_per_head(shape.tokens);
  std::vector<std::uint64_t> out(static_cast<std::size_t>(shape.heads * words));
  for (std::int32_t t = 0; t < shape.heads; ++t) {
    for (std::int32_t i = 0; i < shape.tokens; ++i) {
      out[static_cast<std::size_t>(t * words + i / 64)] |= (random.next() & 1U) << (i % 64);
    }
  }
  return out;
}

// One head in all three views: the same energies, exact as integers.
TEST(EnergyOf, IsTheSameInEveryForm) {
  Random random(11);
  for (const std::int32_t tokens : {1, 63, 64, 130}) {
    OwnedProblem owned({1, tokens}, 0);
    std::vector<float> left(static_cast<std::size_t>(tokens * 2));
    std::vector<float> right(left.size());
    std::vector<float> fields(static_cast<std::size_t>(tokens));
    // J_ij = a_i a_j of small integers: exact in every form.
    for (std::int32_t i = 0; i < tokens; ++i) {
      const auto at = static_cast<std::size_t>(i);
      left[2 * at] = right[2 * at] = static_cast<float>(random.between(-3, 3));
      left[2 * at + 1] = static_cast<float>(random.between(-3, 3));  // times a column of 0
      fields[at] = static_cast<float>(random.between(-20, 20));
      owned.field(0, i) = static_cast<std::int16_t>(fields[at]);
      for (std::int32_t j = 0; j < i; ++j) {
        owned.couple(
            0, i, j,
            static_cast<std::int16_t>(left[2 * at] * left[2 * static_cast<std::size_t>(j)]));
      }
    }
    DenseView dense = owned.problem();
    const OwnedSparse rows(dense);
    SparseView sparse = rows.problem();
    FactorsView factors;
    factors.shape = {1, tokens};
    factors.rank = 2;
    factors.left = left.data();
    factors.right = right.data();
    factors.fields = fields.data();
    dense.scale = sparse.scale = 4;
    dense.offset = sparse.offset = 3;
    for (const Problem& problem : {Problem(dense), Problem(sparse), Problem(factors)}) {
      EXPECT_OK(validate(problem));
      EXPECT_EQ(shape_of(problem).heads, 1);
      EXPECT_EQ(shape_of(problem).tokens, tokens);
    }
    for (int repeat = 0; repeat < 4; ++repeat) {
      const auto spins = random_spins({1, tokens}, random);
      const Energy expected = energy_of(Problem(dense), spins);
      EXPECT_EQ(expected.integer, energy_of(dense, spins));
      EXPECT_EQ(expected.real, static_cast<double>(expected.integer) / 4 + 3);
      EXPECT_EQ(energy_of(Problem(sparse), spins).integer, expected.integer);
      EXPECT_EQ(energy_of(Problem(sparse), spins).real, expected.real);
      EXPECT_EQ(energy_of(Problem(factors), spins).integer, 0);
      EXPECT_EQ(energy_of(Problem(factors), spins).real, static_cast<double>(expected.integer));
    }
  }
}

TEST(Validate, FactorsAreFiniteAndInBounds) {
  std::vector<float> left = {1, 2, 3, 4}, fields = {1, 1};
  const auto error = [&](auto change) {
    FactorsView problem;
    problem.shape = {1, 2};
    problem.rank = 2;
    problem.left = problem.right = left.data();
    problem.fields = fields.data();
    change(problem);
    return qama::test::describe(validate(problem));
  };
  EXPECT_EQ(error([](FactorsView&) {}), error([](FactorsView& p) { p.penalty = 1; }));
  EXPECT_THAT(error([](FactorsView& p) { p.rank = 0; }), HasSubstr("PROBLEM_TOO_LARGE"));
  EXPECT_THAT(error([](FactorsView& p) { p.shape.heads = kMaxHeads + 1; }),
              HasSubstr("PROBLEM_TOO_LARGE"));
  EXPECT_THAT(error([](FactorsView& p) { p.penalty = -1; }), HasSubstr("penalty"));
  left[3] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(error([](FactorsView&) {}), HasSubstr("not finite"));
}

TEST(EnergyOf, EqualsTheDefinition) {
  Random random(1);
  for (const ProblemShape& shape :
       {ProblemShape{1, 1}, {3, 5}, {8, 49}, {2, 64}, {2, 65}, {1, 300}, {64, 2}}) {
    for (const ProblemKind kind : kProblemKinds) {
      const OwnedProblem owned = OwnedProblem::random(shape, kind, 500, random);
      for (int repeat = 0; repeat < 4; ++repeat) {
        const auto spins = random_spins(shape, random);
        EXPECT_EQ(static_cast<double>(energy_of(owned.problem(), spins)),
                  brute_force_energy(owned.problem(), spins))
            << describe_case(owned.problem(), "energy");
      }
    }
  }
}

TEST(Shape, CouplingsFitTheMachinesAddresses) {
  const ProblemShape largest{kMaxHeads, kMaxDenseTokens};
  if (sizeof(void*) == 8) {
    EXPECT_OK(validate_shape(largest));
  } else {
    EXPECT_ERROR(problem_too_large, validate_shape(largest));
  }
  EXPECT_OK(validate_shape({1, kMaxDenseTokens}));
  EXPECT_OK(validate_shape({kMaxHeads, 1024}));
}

TEST(Shape, WordsAndStride) {
  EXPECT_EQ(words_per_head(1), 1);
  EXPECT_EQ(words_per_head(64), 1);
  EXPECT_EQ(words_per_head(65), 2);
  EXPECT_EQ(row_stride(49), 64);
  EXPECT_EQ(row_stride(129), 192);
}

TEST(Validate, AcceptsWhatKeepsTheRules) {
  Random random(2);
  for (const ProblemKind kind : kProblemKinds) {
    for (const std::int32_t penalty : {0, 100, 32767}) {
      EXPECT_OK(validate(OwnedProblem::random({4, 70}, kind, penalty, random).problem()));
    }
  }
}

TEST(Validate, NamesTheBrokenRule) {
  Random random(3);
  const auto fresh = [&random] {
    return OwnedProblem::random({3, 70}, ProblemKind::sparse, 10, random);
  };
  const auto error = [](const DenseView& problem) {
    return qama::test::describe(validate(problem));
  };

  for (const ProblemShape& shape : {ProblemShape{0, 5}, {-1, 5}, {kMaxHeads + 1, 5}}) {
    DenseView problem = fresh().problem();
    problem.shape = shape;
    EXPECT_THAT(error(problem), StartsWith("PROBLEM_TOO_LARGE: a problem has " +
                                           std::to_string(shape.heads) + " heads"));
  }
  for (const std::int32_t tokens : {0, -3, kMaxDenseTokens + 1, INT32_MAX}) {
    DenseView problem = fresh().problem();
    problem.shape.tokens = tokens;
    EXPECT_THAT(error(problem), StartsWith("PROBLEM_TOO_LARGE: a problem has " +
                                           std::to_string(tokens) + " spins a head"));
  }
  {
    OwnedProblem owned = fresh();
    DenseView problem = owned.problem();
    problem.penalty = -1;
    EXPECT_THAT(error(problem), StartsWith("PROBLEM_BAD_VALUE: penalty is -1"));
  }
  {
    OwnedProblem owned = fresh();
    owned.coupling(2, 66, 3) = static_cast<std::int16_t>(owned.coupling(2, 66, 3) + 1);
    EXPECT_THAT(error(owned.problem()), HasSubstr("is not symmetric"));
  }
  {
    OwnedProblem owned = fresh();
    owned.coupling(1, 69, 69) = 1;
    EXPECT_THAT(error(owned.problem()),
                StartsWith("PROBLEM_BAD_VALUE: head 1, spin 69: the diagonal coupling is not 0"));
  }
  {
    OwnedProblem owned = fresh();
    owned.coupling(1, 5, 70) = 1;
    EXPECT_THAT(error(owned.problem()), HasSubstr("head 1, spin 5: padding of its couplings"));
  }
  {
    OwnedProblem owned = fresh();
    owned.field(2, 127) = -1;
    EXPECT_THAT(error(owned.problem()), HasSubstr("padding of the fields is not 0"));
  }
  {
    OwnedProblem owned = OwnedProblem::random({3, 70}, ProblemKind::extreme, 10, random);
    EXPECT_OK(validate(owned.problem()));
    auto& field = owned.field(1, 69);
    field = static_cast<std::int16_t>(field < 0 ? field - 1 : field + 1);
    EXPECT_THAT(error(owned.problem()),
                HasSubstr("head 1, spin 69: couplings, field and penalty sum up to 32768"));
  }
}

/// A real layer in dense form.
struct RealLayer {
  ProblemShape shape;
  std::vector<float> couplings;  ///< [H][N][N]
  std::vector<float> fields;     ///< [H][N]
  float lambda = 0;
  explicit RealLayer(const ProblemShape& s)
      : shape(s),
        couplings(static_cast<std::size_t>(s.spins() * s.tokens)),
        fields(static_cast<std::size_t>(s.spins())) {}
  void couple(std::int32_t t, std::int32_t i, std::int32_t j, float value) {
    const auto at = [&](std::int32_t a, std::int32_t b) {
      return static_cast<std::size_t>(
          (static_cast<std::int64_t>(t) * shape.tokens + a) * shape.tokens + b);
    };
    couplings[at(i, j)] = value;
    couplings[at(j, i)] = value;
  }
  template <typename Draw>
  static RealLayer make(const ProblemShape& s, float lambda, Draw draw) {
    RealLayer out(s);
    out.lambda = lambda;
    for (std::int32_t t = 0; t < s.heads; ++t) {
      for (std::int32_t i = 0; i < s.tokens; ++i) {
        for (std::int32_t j = i; j < s.tokens; ++j) out.couple(t, i, j, draw());
      }
    }
    for (float& field : out.fields) field = draw();
    return out;
  }
  Status build(ProblemBuffer& buffer) const {
    return buffer.build(shape, couplings.data(), shape.tokens, fields.data(), shape.tokens, lambda);
  }
};

float signed_unit(Random& random) {
  return static_cast<float>(2 * random.unit() - 1);
}

TEST(ProblemBuffer, KeepsTheRulesForAdversarialNumbers) {
  Random random(4);
  const ProblemShape shapes[] = {{1, 1}, {1, 64}, {8, 49}, {2, 65}, {64, 3}, {1, 400}};
  for (const ProblemShape& shape : shapes) {
    ASSERT_OK_AND_ASSIGN(ProblemBuffer buffer, ProblemBuffer::create({64, 400}));
    const auto check = [&](const char* what, const RealLayer& layer) {
      SCOPED_TRACE(std::string(what) + ", " + std::to_string(shape.heads) + " x " +
                   std::to_string(shape.tokens));
      ASSERT_OK(layer.build(buffer));
      EXPECT_OK(validate(buffer.problem()));
      EXPECT_GT(buffer.problem().scale, 0);
      EXPECT_TRUE(std::isfinite(buffer.problem().scale));
    };
    // Magnitudes from the smallest denormal to the largest number; all at once, too.
    for (const float size : {FLT_TRUE_MIN, 1e-40F, FLT_MIN, 1e-6F, 1.0F, 3e4F, 1e20F, FLT_MAX}) {
      for (const float lambda : {0.0F, size, size / 7}) {
        check("one size",
              RealLayer::make(shape, lambda, [&] { return size * signed_unit(random); }));
        check("two values", RealLayer::make(shape, lambda, [&] {
                return signed_unit(random) < 0 ? -size : size;
              }));
      }
    }
    check("many sizes", RealLayer::make(shape, 1.0F, [&] {
            return std::ldexp(signed_unit(random), static_cast<int>(random.between(-140, 120)));
          }));
    check("all zero", RealLayer::make(shape, 0.0F, [] { return 0.0F; }));
    check("penalty only", RealLayer::make(shape, 5.0F, [] { return 0.0F; }));
    RealLayer dominated = RealLayer::make(shape, 0.1F, [&] { return signed_unit(random); });
    for (std::int32_t j = 1; j < shape.tokens; ++j) dominated.couple(0, 0, j, 1e6F);
    check("one dominating row", dominated);
    RealLayer rounding = RealLayer::make(shape, 0.5F, [] { return 0.5F; });
    check("everything rounds the same way", rounding);
  }
}

// For one head the penalty means nothing, whatever its size.
TEST(ProblemBuffer, OneHeadWithALargePenaltyKeepsTheRules) {
  Random random(5);
  ASSERT_OK_AND_ASSIGN(ProblemBuffer buffer, ProblemBuffer::create({1, 40}));
  for (const float lambda : {1.0F, 1e5F, FLT_MAX}) {
    ASSERT_OK(RealLayer::make({1, 40}, lambda, [&] { return signed_unit(random); }).build(buffer));
    SCOPED_TRACE(lambda);
    EXPECT_OK(validate(buffer.problem()));
  }
}

TEST(ProblemBuffer, RoundsToTheNearestIntegerAtItsScale) {
  Random random(6);
  const ProblemShape shape{3, 50};
  ASSERT_OK_AND_ASSIGN(ProblemBuffer buffer, ProblemBuffer::create({4, 90}));
  const RealLayer layer = RealLayer::make(shape, 0.7F, [&] { return signed_unit(random); });
  ASSERT_OK(layer.build(buffer));
  const DenseView& p = buffer.problem();
  EXPECT_OK(validate(p));
  // 3 x 50 numbers of size 1 at most: the scale must use most of the sixteen bits.
  double largest = 0;
  for (std::int32_t t = 0; t < shape.heads; ++t) {
    for (std::int32_t i = 0; i < shape.tokens; ++i) {
      const auto row = static_cast<std::size_t>(t * shape.tokens + i);
      EXPECT_NEAR(p.fields[static_cast<std::size_t>(t) * 64 + static_cast<std::size_t>(i)],
                  static_cast<double>(layer.fields[row]) * p.scale, 0.5 + 1e-9);
      double sum =
          std::fabs(p.fields[static_cast<std::size_t>(t) * 64 + static_cast<std::size_t>(i)]) +
          (shape.heads - 1) * p.penalty;
      for (std::int32_t j = 0; j < shape.tokens; ++j) {
        const double value = p.couplings[row * 64 + static_cast<std::size_t>(j)];
        sum += std::fabs(value);
        if (i == j) continue;
        EXPECT_NEAR(
            value,
            static_cast<double>(layer.couplings[row * 50 + static_cast<std::size_t>(j)]) * p.scale,
            0.5 + 1e-9);
      }
      largest = std::max(largest, sum);
    }
  }
  EXPECT_NEAR(p.penalty, static_cast<double>(layer.lambda) * p.scale, 0.5 + 1e-9);
  EXPECT_GT(largest, 32000);
}

// The upper triangle alone counts: neither the room that a row needs nor its numbers come from the
// lower one.
TEST(ProblemBuffer, IgnoresTheLowerTriangle) {
  const std::int32_t tokens = 40;
  ASSERT_OK_AND_ASSIGN(ProblemBuffer buffer, ProblemBuffer::create({1, tokens}));
  RealLayer layer = RealLayer::make({1, tokens}, 0.0F, [] { return 0.0F; });
  // All couplings are with the last spin, whose own row says 0.
  for (std::int32_t i = 0; i + 1 < tokens; ++i) {
    layer.couplings[static_cast<std::size_t>(i * tokens + tokens - 1)] = 1.0F;
  }
  ASSERT_OK(layer.build(buffer));
  EXPECT_OK(validate(buffer.problem()));
  EXPECT_GT(buffer.problem().couplings[(tokens - 1) * 64], 0);
  // The other way round: what stands below is not read, whatever it is.
  layer = RealLayer::make({1, tokens}, 0.0F, [] { return 0.0F; });
  layer.couplings[static_cast<std::size_t>((tokens - 1) * tokens)] =
      std::numeric_limits<float>::quiet_NaN();
  ASSERT_OK(layer.build(buffer));
  EXPECT_EQ(buffer.problem().couplings[(tokens - 1) * 64], 0);
}

TEST(ProblemBuffer, RefusesWhatIsNotANumber) {
  ASSERT_OK_AND_ASSIGN(ProblemBuffer buffer, ProblemBuffer::create({2, 20}));
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  for (const float value : bad) {
    Random random(7);
    const RealLayer good = RealLayer::make({2, 20}, 0.5F, [&] { return signed_unit(random); });
    RealLayer layer = good;
    layer.couple(1, 3, 19, value);
    EXPECT_ERROR(problem_bad_value, layer.build(buffer));
    layer = good;
    layer.fields[39] = value;
    EXPECT_ERROR(problem_bad_value, layer.build(buffer));
    layer = good;
    layer.lambda = value;
    EXPECT_ERROR(problem_bad_value, layer.build(buffer));
    layer = good;
    layer.couple(1, 4, 4, value);  // the diagonal may be anything
    EXPECT_OK(layer.build(buffer));
    EXPECT_OK(validate(buffer.problem()));
  }
  RealLayer negative = RealLayer::make({2, 20}, -0.1F, [] { return 1.0F; });
  EXPECT_ERROR(problem_bad_value, negative.build(buffer));
}

TEST(ProblemBuffer, RefusesShapesItHasNoMemoryFor) {
  EXPECT_ERROR(problem_too_large, ProblemBuffer::create({0, 20}));
  EXPECT_ERROR(problem_too_large, ProblemBuffer::create({65, 20}));
  EXPECT_ERROR(problem_too_large, ProblemBuffer::create({1, kMaxDenseTokens + 1}));
  ASSERT_OK_AND_ASSIGN(ProblemBuffer buffer, ProblemBuffer::create({2, 20}));
  const RealLayer layer({3, 21});
  for (const ProblemShape& shape : {ProblemShape{3, 20}, {2, 21}, {0, 20}, {2, 0}, {-1, -1}}) {
    EXPECT_ERROR(problem_too_large,
                 buffer.build(shape, layer.couplings.data(), 21, layer.fields.data(), 21, 0.0F));
  }
}

// What a larger problem left behind must not be seen by a smaller one.
TEST(ProblemBuffer, ASmallerProblemIsCleanAfterALargerOne) {
  Random random(8);
  ASSERT_OK_AND_ASSIGN(ProblemBuffer buffer, ProblemBuffer::create({4, 200}));
  for (const ProblemShape& shape : {ProblemShape{4, 200}, {4, 70}, {1, 3}, {4, 128}}) {
    ASSERT_OK(RealLayer::make(shape, 0.3F, [&] { return signed_unit(random); }).build(buffer));
    EXPECT_OK(validate(buffer.problem()));
  }
}

}  // namespace
}  // namespace qama::hal::test
