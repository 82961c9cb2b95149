// The phases of a search with a time limit: what they plan, and who gets the next part.
#include "hal/search/phase.h"

#include <gmock/gmock.h>
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
  const auto phase = make_restarts_phase(1000, false);
  EXPECT_EQ(phase->kind(), PartKind::restarts);
  for (const std::int32_t sweeps : {1000, 2000, 4000}) {
    const Schedule schedule = planned(*phase, {.sweeps_left = kPlenty, .alone = true});
    EXPECT_EQ(schedule.sweeps, sweeps);
    EXPECT_EQ(schedule.t_start, 0.3);
    EXPECT_TRUE(phase->learn({.gained = true}));
  }
  EXPECT_EQ(planned(*phase, {.sweeps_left = 15999, .alone = true}).sweeps, 15999);
  EXPECT_EQ(planned(*phase, {.sweeps_left = 15999}).sweeps, 8000);
  EXPECT_EQ(planned(*phase, {.sweeps_left = 5000}).sweeps, 5000);
  EXPECT_EQ(planned(*phase, {.sweeps_left = -3}).sweeps, 16);
  for (int k = 0; k < 30; ++k) phase->learn({});
  EXPECT_EQ(planned(*phase, {.sweeps_left = kPlenty}).sweeps, kMaxSweeps);
  // The first part has been fitted already.
  EXPECT_EQ(planned(*make_restarts_phase(7, true), {.sweeps_left = 1}).sweeps, 7);
}

/// The last temperatures of parts of a phase whose parts that end at `t_end` cost cost(t_end).
std::vector<double> ends(Phase& phase, int parts, double sweeps_left, double (*cost)(double)) {
  std::vector<double> out;
  for (int k = 0; k < parts; ++k) {
    out.push_back(planned(phase, {.sweeps_left = sweeps_left}).t_end / 0.03);
    phase.learn({.cost = cost(out.back())});
  }
  return out;
}

TEST(Phase, RestartsEndColderWhereThatIsBetter) {
  constexpr double kOne = 1.0 / 3, kTwo = 1.0 / 9;
  const auto are = [](std::vector<double> wanted) {
    return testing::Pointwise(testing::DoubleEq(), wanted);
  };
  // A tenth is best: six parts with either end, six with the next, and the last is no better.
  const auto best = [](double end) { return std::fabs(std::log(end / 0.1)); };
  std::vector<double> wanted = {1};
  for (const double end : {1.0, kOne}) {
    for (int k = 0; k < 6; ++k) wanted.insert(wanted.end(), {end, end * kOne});
  }
  wanted.insert(wanted.end(), {kTwo, kTwo * kOne, kTwo, kTwo * kOne, kTwo, kTwo});
  EXPECT_THAT(ends(*make_restarts_phase(1000, true), 31, kPlenty, best), are(wanted));
  // Three colder ends are tried at most.
  const auto colder = [](double end) { return end; };
  EXPECT_NEAR(ends(*make_restarts_phase(1000, true), 40, kPlenty, colder).back(), 1.0 / 27, 1e-9);
  // Two parts with the colder end say that it is no better.
  const auto level = [](double) { return 0.0; };
  EXPECT_THAT(ends(*make_restarts_phase(1000, true), 7, kPlenty, level),
              are({1, 1, kOne, 1, kOne, 1, 1}));
  // Without time, or a wish, there is no trial.
  EXPECT_THAT(ends(*make_restarts_phase(1000, true), 4, 7000, colder), are({1, 1, 1, 1}));
  EXPECT_THAT(ends(*make_restarts_phase(1000, false), 4, kPlenty, colder), are({1, 1, 1, 1}));
  // A trial's parts take a tenth of the time.
  const auto phase = make_restarts_phase(1000, true);
  ends(*phase, 1, kPlenty, colder);
  EXPECT_EQ(planned(*phase, {.sweeps_left = 60000}).sweeps, 500);
}

TEST(Phase, ReheatKeepsALengthThatGains) {
  const auto phase = make_reheat_phase();
  EXPECT_EQ(phase->kind(), PartKind::copies);
  std::vector<std::int32_t> sweeps;
  for (const bool gains : {true, true, false, false, true, false, false, false, false}) {
    sweeps.push_back(planned(*phase, {.sweeps_left = kPlenty, .seed = sweeps.size()}).sweeps);
    EXPECT_EQ(phase->learn({.gained = gains}), !gains);
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
  Portfolio portfolio(100, false, kCopies);
  EXPECT_FALSE(portfolio.alone());
  EXPECT_EQ(portfolio.next(false).kind(), PartKind::restarts);
  portfolio.ended(Standing::better, 0, 50);
  for (int k = 0; k < 5; ++k) {
    EXPECT_EQ(portfolio.next(true).kind(), PartKind::copies);
    portfolio.ended(Standing::better, 0, 1000);
  }
  // Copies lead: what they spend in vain counts an eighth.
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::copies);
  portfolio.ended(Standing::level, 0, 399);
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::copies);
  portfolio.ended(Standing::worse, 0, 2);
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::restarts);
  portfolio.ended(Standing::better, 0, 100);
  // Now restarts do: 150 / 8 against 401.
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::restarts);
  portfolio.ended(Standing::worse, 0, 8 * 401 - 150 + 8);
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::copies);
  // Two that find the same share alike.
  portfolio.ended(Standing::level, 0, 8 * 401);
  EXPECT_EQ(portfolio.next(true).kind(), PartKind::restarts);

  Portfolio restarts(100, false, {});
  EXPECT_TRUE(restarts.alone());
  for (int k = 0; k < 5; ++k) {
    EXPECT_EQ(restarts.next(true).kind(), PartKind::restarts);
    restarts.ended(Standing::worse, 0, 1);
  }
  constexpr PartKind kTabu[] = {PartKind::tabu};
  Portfolio tabu(100, false, kTabu);
  EXPECT_EQ(tabu.next(false).kind(), PartKind::restarts);
  tabu.ended(Standing::better, 0, 50);
  EXPECT_EQ(tabu.next(true).kind(), PartKind::tabu);
  Schedule schedule;
  tabu.next(true).plan({}, schedule);
  EXPECT_EQ(schedule.sweeps, 0);
}

}  // namespace
}  // namespace qama::hal
