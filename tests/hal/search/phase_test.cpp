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
  EXPECT_EQ(phase->kind(), PartKind::restarts);
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
  EXPECT_EQ(phase->kind(), PartKind::copies);
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
  constexpr PartKind kCopies[] = {PartKind::copies};
  Portfolio portfolio(100, kCopies);
  EXPECT_FALSE(portfolio.alone());
  EXPECT_EQ(portfolio.next(false).kind(), PartKind::restarts);
  portfolio.ended(Standing::better, 50);
  for (int k = 0; k < 5; ++k) {
    EXPECT_EQ(portfolio.next(true).kind(), PartKind::copies);
    portfolio.ended(Standing::better, 1000);
  }
  // Copies lead: what they spend in vain counts an eighth.
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::copies);
  portfolio.ended(Standing::level, 399);
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::copies);
  portfolio.ended(Standing::worse, 2);
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::restarts);
  portfolio.ended(Standing::better, 100);
  // Now restarts do: 150 / 8 against 401.
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::restarts);
  portfolio.ended(Standing::worse, 8 * 401 - 150 + 8);
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::copies);
  // Two that find the same share alike.
  portfolio.ended(Standing::level, 8 * 401);
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::restarts);

  Portfolio restarts(100, {});
  EXPECT_TRUE(restarts.alone());
  for (int k = 0; k < 5; ++k) {
    EXPECT_EQ(restarts.next(true).kind(), PartKind::restarts);
    restarts.ended(Standing::worse, 1);
  }
  constexpr PartKind kTabu[] = {PartKind::tabu};
  Portfolio tabu(100, kTabu);
  EXPECT_EQ(tabu.next(false).kind(), PartKind::restarts);
  tabu.ended(Standing::better, 50);
  EXPECT_EQ(tabu.next(true).kind(), PartKind::tabu);
  Schedule schedule;
  tabu.next(true).plan({}, schedule);
  EXPECT_EQ(schedule.sweeps, 0);
}

}  // namespace
}  // namespace qama::hal
