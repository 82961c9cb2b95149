// The device published: against enumeration; its answers are local minima, and its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "hal/device.h"
#include "hal/problem.h"
#include "tests/hal/cpu/hal_test_support.h"
#include "tests/test_support.h"

namespace qama::hal::test {
namespace {

struct Answer {
  std::vector<std::uint64_t> spins;
  SolveResult result;
};

Answer solve(const OwnedProblem& owned, std::uint64_t seed, const ProblemShape& room) {
  Answer out;
  const ProblemShape shape = owned.problem().shape;
  out.spins.resize(static_cast<std::size_t>(shape.heads * words_per_head(shape.tokens)));
  auto device = open_device("published:");
  EXPECT_OK(device);
  auto solver = (*device)->compile(room);
  EXPECT_OK(solver);
  SolveOptions options;
  options.seed = seed;
  EXPECT_OK((*solver)->solve(owned.problem(), options, out.spins, out.result));
  EXPECT_EQ(out.result.energy, energy_of(owned.problem(), out.spins));
  return out;
}

TEST(PublishedDevice, FindsTheMinimumOfSmallProblemsWithSomeSeed) {
  Random random(1);
  for (const ProblemShape shape : {ProblemShape{1, 12}, {3, 4}, {2, 7}}) {
    for (const ProblemKind kind : kProblemKinds) {
      const OwnedProblem owned = OwnedProblem::random(shape, kind, 800, random);
      const double minimum = brute_force_minimum(owned.problem());
      double best = 0;
      for (std::uint64_t seed = 0; seed < 50; ++seed) {
        const double energy = static_cast<double>(solve(owned, seed, shape).result.energy);
        EXPECT_GE(energy, minimum);
        best = std::min(best, energy);
      }
      EXPECT_EQ(best, minimum) << describe_case(owned.problem(), "published");
    }
  }
}

// A solver for texts has room for more tokens than a problem has. No flip of one spin gains.
TEST(PublishedDevice, AnswersAreLocalMinimaAndFollowTheSeed) {
  Random random(2);
  const ProblemShape shape{5, 70};
  const OwnedProblem owned = OwnedProblem::random(shape, ProblemKind::dense, 100, random);
  Answer answer = solve(owned, 7, {5, 90});
  EXPECT_EQ(answer.spins, solve(owned, 7, shape).spins);
  EXPECT_EQ(answer.result.flips, solve(owned, 7, shape).result.flips);
  EXPECT_NE(answer.result.flips, solve(owned, 8, shape).result.flips);
  for (std::int32_t t = 0; t < shape.heads; ++t) {
    for (std::int32_t i = 0; i < shape.tokens; ++i) {
      std::uint64_t& word = answer.spins[static_cast<std::size_t>(t * 2 + i / 64)];
      word ^= std::uint64_t{1} << (i % 64);
      EXPECT_GE(energy_of(owned.problem(), answer.spins), answer.result.energy) << t << " " << i;
      word ^= std::uint64_t{1} << (i % 64);
    }
  }
  // At most 1375 temperatures of five proposals; a flip of the descent looks at all spins.
  EXPECT_LE(answer.result.proposals, 1375 * 5 + (answer.result.flips + 1) * shape.spins());
}

TEST(PublishedDevice, RefusesWhatItDoesNotTake) {
  ASSERT_OK_AND_ASSIGN(const auto device, open_device("published:"));
  EXPECT_ERROR(device_unknown, open_device("published:x"));
  EXPECT_ERROR(unsupported, device->compile({{1, 5}, Form::sparse}));
  EXPECT_ERROR(problem_too_large, device->compile({0, 5}));
}

}  // namespace
}  // namespace qama::hal::test
