// The tuner: candidates in the order of their costs, the cheapest that is good enough is chosen.
#include "hal/search/tuner.h"

#include <gtest/gtest.h>

#include "hal/cpu/dense/recombine.h"
#include "hal/search/best_known.h"
#include "tests/hal/cpu/hal_test_support.h"
#include "tests/test_support.h"

namespace qama::hal {
namespace {

TEST(Tuner, CandidatesAreSortedByCost) {
  for (const std::int32_t heads : {1, 8}) {
    const std::vector<Schedule> all = schedule_candidates(heads);
    ASSERT_GT(all.size(), 100U);
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_OK(validate(all[i]));
      if (i > 0) {
        EXPECT_LE(cost_of(all[i - 1]), cost_of(all[i]));
      }
      // Rounds and kinds of start are for several heads.
      if (heads == 1) {
        EXPECT_EQ(all[i].rounds, 0);
        EXPECT_EQ(all[i].start, StartKind::guessed);
      }
    }
  }
}

TEST(Tuner, CostCountsSweepsOfAllChains) {
  EXPECT_EQ(cost_of({.sweeps = 0, .restarts = 1}), 1);
  EXPECT_EQ(cost_of({.sweeps = 9, .restarts = 1}), 10);
  EXPECT_NEAR(cost_of({.sweeps = 9, .restarts = 4}), 29, 1e-9);
  // Recombining begins where the solver's does.
  const auto with_rounds = [](std::int32_t restarts) {
    return cost_of({.sweeps = 9, .restarts = restarts, .rounds = 1}) -
           cost_of({.sweeps = 9, .restarts = restarts});
  };
  EXPECT_EQ(with_rounds(cpu::kPoolRestarts - 1), with_rounds(1));
  EXPECT_GT(with_rounds(cpu::kPoolRestarts), with_rounds(1));
}

TEST(Tuner, TheCheapestThatIsGoodEnoughIsChosen) {
  ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:"));
  test::Random random(3);
  std::vector<test::OwnedProblem> owned;
  std::vector<TuningProblem> problems;
  for (int k = 0; k < 8; ++k) {
    owned.push_back(test::OwnedProblem::random({2, 20 + k}, test::ProblemKind::dense, 40, random));
    ASSERT_OK_AND_ASSIGN(const BestKnown best, best_known(*device, owned.back().problem()));
    problems.push_back({owned.back().problem(), best.energy});
  }
  TuneOptions options;
  options.share = 0.9;
  ASSERT_OK_AND_ASSIGN(const Tuned found, tune(*device, problems, options));
  EXPECT_TRUE(found.reached);
  EXPECT_GE(found.share, 0.9);
  EXPECT_EQ(found.cost, cost_of(found.schedule));
  for (const Schedule& cheaper : schedule_candidates(2)) {
    if (cheaper == found.schedule) break;
    ASSERT_OK_AND_ASSIGN(const Tuned tried, try_schedule(*device, problems, cheaper, options));
    EXPECT_FALSE(tried.reached);
  }
  // An energy that nothing reaches: the best of the most expensive ones.
  for (TuningProblem& one : problems) one.best *= 2;
  options.runs = 1;
  ASSERT_OK_AND_ASSIGN(const Tuned none, tune(*device, problems, options));
  EXPECT_FALSE(none.reached);
  EXPECT_EQ(none.share, 0);
  EXPECT_GT(none.cost, found.cost);
}

TEST(Tuner, NoProblemsAreRefused) {
  ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:"));
  EXPECT_ERROR(invalid_argument, tune(*device, {}, {}));
}

}  // namespace
}  // namespace qama::hal
