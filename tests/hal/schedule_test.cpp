// Schedules: their bounds, one sentence a field, and what overrides leave alone; the rule for
// seeds.
#include "hal/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "hal/base/random.h"
#include "tests/test_support.h"

namespace qama::hal::test {
namespace {

using testing::HasSubstr;

std::string sentence(Schedule schedule) {
  return qama::test::describe(validate(schedule, "it"));
}

TEST(Schedule, TheDefaultIsValid) {
  EXPECT_OK(validate(Schedule{}));
  EXPECT_OK(validate({.sweeps = 0, .restarts = kMaxRestarts, .t_start = 0.1, .t_end = 0.1}));
}

TEST(Schedule, EveryFieldHasItsSentence) {
  EXPECT_THAT(sentence({.sweeps = -1}), HasSubstr("it.sweeps: -1, expected 0 to 1000000"));
  EXPECT_THAT(sentence({.sweeps = kMaxSweeps + 1}), HasSubstr("it.sweeps: 1000001"));
  EXPECT_THAT(sentence({.restarts = 0}), HasSubstr("it.restarts: 0, expected 1 to 65536"));
  EXPECT_THAT(sentence({.t_start = 0}), HasSubstr("it.t_start: 0, expected 1e-09 to 1000000"));
  EXPECT_THAT(sentence({.t_start = std::numeric_limits<double>::quiet_NaN()}),
              HasSubstr("it.t_start: "));
  EXPECT_THAT(sentence({.t_start = 0.5, .t_end = 0.6}),
              HasSubstr("it.t_end: 0.6, expected 1e-09 to 0.5"));
  EXPECT_THAT(sentence({.start = static_cast<StartKind>(3)}), HasSubstr("it.start: 3"));
  EXPECT_THAT(sentence({.rounds = -1}), HasSubstr("it.rounds: -1, expected 0 to 65536"));
  EXPECT_THAT(sentence({.round_sweeps = -1}), HasSubstr("it.round_sweeps: -1"));
  EXPECT_THAT(sentence({.rounds = 1, .t_round = 0.05}),
              HasSubstr("it.t_round: 0.05, expected 0.1 to"));
  EXPECT_OK(validate({.rounds = 0, .t_round = 0.05}));  // does not count
  EXPECT_ERROR(model_bad_value, validate({.sweeps = -1}, "it", ErrorCode::model_bad_value));
}

TEST(Schedule, OverridesLeaveTheRestAlone) {
  const Schedule filed{.sweeps = 7, .restarts = 3, .t_start = 0.9, .start = StartKind::mixed};
  EXPECT_EQ(ScheduleOverrides{}.apply(filed), filed);
  Schedule expected = filed;
  expected.sweeps = 0;
  expected.rounds = 2;
  EXPECT_EQ((ScheduleOverrides{.sweeps = 0, .rounds = 2}.apply(filed)), expected);
}

TEST(Schedule, EveryFieldIsVisitedOnce) {
  std::string names;
  const Schedule schedule;
  for_each_field(schedule,
                 [&](std::string_view name, const auto&) { names += std::string(name) + " "; });
  EXPECT_EQ(names, "sweeps restarts t_start t_end start rounds round_sweeps t_round ");
}

TEST(StartKind, NamesGoBothWays) {
  for (const auto& [name, kind] : kStartNames) {
    EXPECT_EQ(name_of(kind), name);
    EXPECT_EQ(parse_start_kind(name).value(), kind);
  }
  EXPECT_ERROR(invalid_argument, parse_start_kind("cold"));
}

TEST(Random, TheStreamIsReadByCounter) {
  SplitMix64 stream(5);
  for (std::uint64_t k = 0; k < 4; ++k) EXPECT_EQ(stream.next(), counter_random(5, k));
  // Part of the answer of every model: never to change.
  EXPECT_EQ(solve_seed(1, 2, 3), 0xD0734750FDE362B3U);
}

}  // namespace
}  // namespace qama::hal::test
