// The phases of a search with a time limit: what they plan, and who gets the next part.
#include "hal/search/phase.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace qama::hal {
namespace {

constexpr double kPlenty = 1e9;

Schedule planned(Phase& phase, const Turn& turn) {
  Schedule schedule{.t_start = 0.3, .t_end = 0.03};
  phase.plan(turn, schedule);
  return schedule;
}

TEST(Phase, RestartsDoubleTheirSweepsUntilTheTimeIsOver) {
  const auto phase = make_restarts_phase(1000);
  EXPECT_FALSE(phase->improves());
  for (const std::int32_t sweeps : {1000, 2000, 4000}) {
    const Schedule schedule = planned(*phase, {.sweeps_left = kPlenty, .alone = true});
    EXPECT_EQ(schedule.sweeps, sweeps);
    EXPECT_EQ(schedule.t_start, 0.3);
    EXPECT_TRUE(phase->learn(true));
  }
  EXPECT_EQ(planned(*phase, {.sweeps_left = 15999, .alone = true}).sweeps, 15999);
  EXPECT_EQ(planned(*phase, {.sweeps_left = 15999}).sweeps, 8000);
  EXPECT_EQ(planned(*phase, {.sweeps_left = 5000}).sweeps, 5000);
  EXPECT_EQ(planned(*phase, {.sweeps_left = -3}).sweeps, 16);
  for (int k = 0; k < 30; ++k) phase->learn(false);
  EXPECT_EQ(planned(*phase, {.sweeps_left = kPlenty}).sweeps, kMaxSweeps);
  // The first part has been fitted already.
  EXPECT_EQ(planned(*make_restarts_phase(7), {.sweeps_left = 1}).sweeps, 7);
}

TEST(Phase, ReheatKeepsALengthThatGains) {
  const auto phase = make_reheat_phase();
  EXPECT_TRUE(phase->improves());
  std::vector<std::int32_t> sweeps;
  for (const bool gains : {true, true, false, false, true, false, false, false, false}) {
    sweeps.push_back(planned(*phase, {.sweeps_left = kPlenty, .seed = sweeps.size()}).sweeps);
    EXPECT_EQ(phase->learn(gains), !gains);
  }
  EXPECT_EQ(sweeps, (std::vector<std::int32_t>{64, 64, 64, 128, 256, 256, 512, 1024, 64}));
  double coldest = 1, hottest = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const Schedule schedule = planned(*phase, {.sweeps_left = 10, .seed = seed});
    EXPECT_EQ(schedule.sweeps, 10);
    EXPECT_EQ(schedule.t_end, 0.03);
    coldest = std::min(coldest, schedule.t_start);
    hottest = std::max(hottest, schedule.t_start);
  }
  EXPECT_NEAR(coldest, std::sqrt(0.3 * 0.03), 0.001);
  EXPECT_NEAR(hottest, 0.3, 0.001);
}

TEST(Phase, WhoGainsGoesOn) {
  Portfolio portfolio(100, true);
  EXPECT_FALSE(portfolio.alone());
  EXPECT_FALSE(portfolio.next(false).improves());
  portfolio.ended(true, 50);
  for (int k = 0; k < 5; ++k) {
    EXPECT_TRUE(portfolio.next(true).improves());
    portfolio.ended(true, 1000);
  }
  EXPECT_TRUE(portfolio.next(true).improves());
  portfolio.ended(false, 49);
  EXPECT_TRUE(portfolio.next(true).improves());
  portfolio.ended(false, 2);
  EXPECT_FALSE(portfolio.next(true).improves());
  portfolio.ended(true, 100);
  EXPECT_TRUE(portfolio.next(true).improves());

  Portfolio restarts(100, false);
  EXPECT_TRUE(restarts.alone());
  for (int k = 0; k < 5; ++k) {
    EXPECT_FALSE(restarts.next(true).improves());
    restarts.ended(false, 1);
  }
}

}  // namespace
}  // namespace qama::hal
