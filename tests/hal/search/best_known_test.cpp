// best_known(): exact where all states can be tried, never above what short solves find, the same
// every time.
#include "hal/search/best_known.h"

#include <gtest/gtest.h>

#include "tests/hal/cpu/hal_test_support.h"
#include "tests/test_support.h"

namespace qama::hal {
namespace {

test::OwnedProblem problem_of(const ProblemShape& shape, std::uint64_t seed) {
  test::Random random(seed);
  return test::OwnedProblem::random(shape, test::ProblemKind::dense, 40, random);
}

TEST(BestKnown, SmallProblemsAreProven) {
  ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:"));
  const test::OwnedProblem owned = problem_of({2, 6}, 1);
  ASSERT_OK_AND_ASSIGN(const BestKnown best, best_known(*device, owned.problem()));
  std::int64_t lowest = 0;
  for (std::uint64_t bits = 0; bits < 4096; ++bits) {
    const std::uint64_t spins[] = {bits & 63U, bits >> 6};
    lowest = std::min(lowest, energy_of(owned.problem(), spins));
  }
  EXPECT_EQ(best.energy, lowest);
  EXPECT_EQ(energy_of(owned.problem(), best.spins), lowest);
  EXPECT_TRUE(best.proven);
}

TEST(BestKnown, NoShortSolveIsLower) {
  ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:"));
  for (const ProblemShape shape : {ProblemShape{4, 40}, ProblemShape{1, 120}}) {
    const test::OwnedProblem owned = problem_of(shape, 2);
    ASSERT_OK_AND_ASSIGN(const BestKnown best, best_known(*device, owned.problem()));
    EXPECT_FALSE(best.proven);
    EXPECT_EQ(energy_of(owned.problem(), best.spins), best.energy);
    ASSERT_OK_AND_ASSIGN(const BestKnown again, best_known(*device, owned.problem()));
    EXPECT_EQ(again.energy, best.energy);
    ASSERT_OK_AND_ASSIGN(const auto solver, device->compile(shape));
    std::vector<std::uint64_t> spins(best.spins.size());
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      SolveResult result;
      ASSERT_OK(solver->solve(owned.problem(), {{.restarts = 4}, seed}, spins, result));
      EXPECT_GE(result.energy, best.energy);
    }
  }
}

TEST(BestKnown, AGapIsAShareOfTheBestEnergy) {
  EXPECT_TRUE(is_within(-999, -1000, 0.001));
  EXPECT_FALSE(is_within(-998.9, -1000, 0.001));
  EXPECT_TRUE(is_within(-1001, -1000, 0));
  EXPECT_TRUE(is_within(0, 0, 0.001));
}

}  // namespace
}  // namespace qama::hal
