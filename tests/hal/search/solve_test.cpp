// solve(): answers in the file's own terms, the same on any number of threads, and its ends:
// restarts, time, target, a caller that stops it.
#include "hal/search/solve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "hal/search/answers.h"
#include "hal/text/formats.h"
#include "tests/patience.h"
#include "tests/test_support.h"

namespace qama::hal {
namespace {

class SolveTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_OK_AND_ASSIGN(device_, open_device("cpu:")); }
  /// A graph whose edges have weights -9 .. 9.
  static ProblemFile graph(std::int32_t size, unsigned seed) {
    std::mt19937 random(seed);
    ProblemFile out;
    out.kind = ProblemKind::maxcut;
    out.graph.size = size;
    for (std::int32_t i = 0; i < size; ++i) {
      for (std::int32_t j = i + 1; j < size; ++j) {
        out.graph.edges.push_back({i, j, static_cast<double>(random() % 19) - 9});
      }
    }
    return out;
  }
  std::shared_ptr<Device> device_;
};

TEST_F(SolveTest, AnAnswerIsInTheFilesTerms) {
  const ProblemFile cut = graph(12, 1);
  double best = 0;
  for (std::uint64_t bits = 0; bits < 4096; ++bits)
    best = std::max(best, value_of(cut, {&bits, 1}));
  ASSERT_OK_AND_ASSIGN(const BestAnswer answer,
                       solve(cut, *device_, default_request(ProblemKind::maxcut)));
  EXPECT_EQ(answer.value, best);
  EXPECT_EQ(value_of(cut, answer.spins), best);
  EXPECT_TRUE(answer.decode.exact);
  EXPECT_EQ(answer.restarts, kDefaultSolveRestarts);
  EXPECT_EQ(answer.sweeps, 1000);
  EXPECT_FALSE(answer.target_reached);
}

TEST_F(SolveTest, ThreadsDoNotChangeTheAnswer) {
  const ProblemFile file = graph(90, 2);
  SolveRequest request = default_request(file.kind);
  request.schedule.sweeps = 3;
  request.restarts = 200;
  request.seed = 7;
  ASSERT_OK_AND_ASSIGN(const BestAnswer one, solve(file, *device_, request));
  request.threads = 4;
  ASSERT_OK_AND_ASSIGN(const BestAnswer four, solve(file, *device_, request));
  EXPECT_EQ(one.spins, four.spins);
  EXPECT_EQ(one.value, four.value);
  EXPECT_EQ(one.proposals, four.proposals);
  EXPECT_EQ(four.restarts, 200);
  // The first parts of a longer run are those of a shorter one.
  request.restarts = 64;
  ASSERT_OK_AND_ASSIGN(const BestAnswer shorter, solve(file, *device_, request));
  EXPECT_LE(shorter.value, one.value);
}

TEST_F(SolveTest, EveryReadIsTold) {
  for (const std::int32_t size : {100, 400}) {
    ProblemFile file = graph(size, 11);
    if (size == 400) {  // sparse rows
      std::erase_if(file.graph.edges,
                    [](const Edge& edge) { return (edge.second - edge.first) % 40 != 1; });
    }
    SolveRequest request = default_request(file.kind);
    request.schedule.sweeps = 2;
    request.answers = 5;
    AnswerSet kept(5, true);
    double best = -HUGE_VAL;
    SolveHooks hooks;
    hooks.answer = [&](double elapsed_ms, double value, const std::vector<std::uint64_t>& spins) {
      EXPECT_GE(elapsed_ms, 0);
      EXPECT_EQ(value_of(file, spins), value);
      best = std::max(best, value);
      kept.add(value, spins);
    };
    ASSERT_OK_AND_ASSIGN(const BestAnswer one, solve(file, *device_, request, hooks));
    EXPECT_EQ(one.value, best);
    EXPECT_EQ(kept.reads(), 32);
    EXPECT_EQ(one.restarts, one.form == Form::sparse ? 32 * 32 : 32);
    const auto answers = kept.answers();
    ASSERT_GT(answers.size(), 1U);
    EXPECT_EQ(answers.front().value, best);
    for (std::size_t k = 1; k < answers.size(); ++k)
      EXPECT_LE(answers[k].value, answers[k - 1].value);
    // The same on two threads, whatever the order.
    const AnswerSet first = std::exchange(kept, AnswerSet(5, true));
    request.threads = 2;
    ASSERT_TRUE(solve(file, *device_, request, hooks).ok());
    const auto again = kept.answers();
    ASSERT_EQ(again.size(), answers.size());
    for (std::size_t k = 0; k < answers.size(); ++k) {
      EXPECT_EQ(again[k].spins, answers[k].spins);
      EXPECT_EQ(again[k].count, answers[k].count);
    }
    // More answers that are wanted are more reads.
    request.answers = 40;
    kept = AnswerSet(40, true);
    ASSERT_TRUE(solve(file, *device_, request, hooks).ok());
    EXPECT_EQ(kept.reads(), 40);
  }
}

TEST_F(SolveTest, TheBestStatesOfASmallCutEachOnce) {
  const ProblemFile file = graph(9, 12);
  std::vector<double> values;
  for (std::uint64_t bits = 0; bits < 256; ++bits) values.push_back(value_of(file, {&bits, 1}));
  std::sort(values.rbegin(), values.rend());
  SolveRequest request = default_request(file.kind);
  request.answers = 6;
  AnswerSet kept(6, true);
  SolveHooks hooks;
  hooks.answer = [&](double, double value, const auto& spins) { kept.add(value, spins); };
  ASSERT_OK_AND_ASSIGN(const auto exact, open_device("exact:"));
  ASSERT_OK_AND_ASSIGN(const BestAnswer best, solve(file, *exact, request, hooks));
  EXPECT_TRUE(best.optimal);
  const auto answers = kept.answers();
  ASSERT_EQ(answers.size(), 6U);
  for (std::size_t k = 0; k < 6; ++k) {
    EXPECT_EQ(answers[k].value, values[k]);
    EXPECT_EQ(answers[k].count, 1);
  }
}

TEST_F(SolveTest, AnInitialAnswerIsNotMadeWorse) {
  for (const std::int32_t size : {60, 300}) {
    const ProblemFile file = graph(size, 13);
    SolveRequest request = default_request(file.kind);
    ASSERT_OK_AND_ASSIGN(const BestAnswer good, solve(file, *device_, request));
    request.restarts = 1;
    request.schedule.sweeps = 0;
    request.seed = 9;
    ASSERT_OK_AND_ASSIGN(const BestAnswer bad, solve(file, *device_, request));
    // The same cut with its sides swapped: the vertex that is fixed is on the other one.
    std::vector<std::uint64_t> swapped = good.spins;
    for_each_spin(file.shape(),
                  [&](std::size_t, std::size_t word, std::uint64_t bit) { swapped[word] ^= bit; });
    for (const auto& spins : {good.spins, swapped}) {
      request.initial = {spins};
      ASSERT_OK_AND_ASSIGN(const BestAnswer kept, solve(file, *device_, request));
      EXPECT_GE(kept.value, good.value);
      EXPECT_EQ(value_of(file, kept.spins), kept.value);
    }
    EXPECT_GE(good.value, bad.value);
  }
}

TEST_F(SolveTest, AnInitialAnswerOfAnotherSizeIsRefused) {
  const ProblemFile file = graph(70, 14);
  SolveRequest request = default_request(file.kind);
  for (const std::vector<std::uint64_t>& spins :
       {std::vector<std::uint64_t>{}, {1}, {1, 2, 3}, {0, std::uint64_t{1} << 6}}) {
    request.initial = {spins};
    EXPECT_ERROR(invalid_argument, solve(file, *device_, request));
  }
  request.initial.clear();
  for (const std::int64_t answers : {std::int64_t{-1}, kMostAnswers + 1}) {
    request.answers = answers;
    EXPECT_ERROR(invalid_argument, solve(file, *device_, request));
  }
}

TEST(AnswerSet, WhatIsKeptDoesNotDependOnTheOrder) {
  std::mt19937 random(1);
  std::vector<std::pair<double, std::uint64_t>> reads;
  for (int k = 0; k < 500; ++k) {
    const std::uint64_t spins = random() % 40;
    reads.emplace_back(static_cast<double>(spins % 7), spins);
  }
  const auto keep = [&](bool larger) {
    AnswerSet out(9, larger);
    for (const auto& [value, spins] : reads) out.add(value, {spins});
    return out.answers();
  };
  for (const bool larger : {false, true}) {
    const auto answers = keep(larger);
    ASSERT_EQ(answers.size(), 9U);
    EXPECT_EQ(answers.front().value, larger ? 6 : 0);
    for (const AnswerSet::Answer& one : answers) {
      EXPECT_EQ(one.count,
                std::count(reads.begin(), reads.end(), std::pair(one.value, one.spins.front())));
    }
    std::shuffle(reads.begin(), reads.end(), random);
    const auto again = keep(larger);
    for (std::size_t k = 0; k < 9; ++k) {
      EXPECT_EQ(again[k].spins, answers[k].spins);
      EXPECT_EQ(again[k].count, answers[k].count);
    }
  }
}

TEST_F(SolveTest, ATargetEndsTheSearch) {
  const ProblemFile file = graph(12, 3);
  SolveRequest request = default_request(file.kind);
  request.restarts = 1'000'000;
  request.target = 1;
  ASSERT_OK_AND_ASSIGN(const BestAnswer answer, solve(file, *device_, request));
  EXPECT_TRUE(answer.target_reached);
  EXPECT_EQ(answer.restarts, 32);
  request.restarts = 32;
  request.target = 1e9;
  ASSERT_OK_AND_ASSIGN(const BestAnswer missed, solve(file, *device_, request));
  EXPECT_FALSE(missed.target_reached);
}

TEST_F(SolveTest, AShortTimeLimitShortensTheSchedule) {
  const ProblemFile file = graph(1500, 4);
  SolveRequest request = default_request(file.kind);
  request.time_limit_ms = 1;
  ASSERT_OK_AND_ASSIGN(const BestAnswer fitted, solve(file, *device_, request));
  EXPECT_LT(fitted.sweeps, 1000);
  request.fit_sweeps = false;
  ASSERT_OK_AND_ASSIGN(const BestAnswer cut_off, solve(file, *device_, request));
  EXPECT_EQ(cut_off.sweeps, 1000);
}

TEST_F(SolveTest, ALongTimeLimitLengthensTheSchedule) {
  const ProblemFile file = graph(100, 8);
  SolveRequest request = default_request(file.kind);
  request.schedule.sweeps = 10;
  request.time_limit_ms = 200 * test::kPatience;
  for (const std::int32_t threads : {1, 2}) {
    request.threads = threads;
    ASSERT_OK_AND_ASSIGN(const BestAnswer answer, solve(file, *device_, request));
    EXPECT_GE(answer.sweeps, 40);
    EXPECT_FALSE(answer.cut_off);
  }
}

TEST_F(SolveTest, ATimeLimitThatCutsEveryRestartOffSaysSo) {
  const ProblemFile file = graph(300, 9);
  SolveRequest request = default_request(file.kind);
  request.schedule.sweeps = kMaxSweeps;
  request.fit_sweeps = false;
  request.time_limit_ms = 5;
  ASSERT_OK_AND_ASSIGN(const BestAnswer cut_off, solve(file, *device_, request));
  EXPECT_TRUE(cut_off.cut_off);
  EXPECT_EQ(cut_off.sweeps, kMaxSweeps);
  request.schedule.sweeps = 2;
  request.time_limit_ms = 0;
  ASSERT_OK_AND_ASSIGN(const BestAnswer whole, solve(file, *device_, request));
  EXPECT_FALSE(whole.cut_off);
}

// A torus of +-1 couplings is annealed on sparse rows.
TEST_F(SolveTest, WithATimeLimitTheBestAnswerIsReheated) {
  constexpr std::int32_t kSide = 24;
  std::mt19937 random(10);
  ProblemFile file;
  file.kind = ProblemKind::maxcut;
  file.graph.size = kSide * kSide;
  const auto add = [&](std::int32_t a, std::int32_t b) {
    file.graph.edges.push_back({std::min(a, b), std::max(a, b), random() % 2 == 0 ? 1.0 : -1.0});
  };
  for (std::int32_t i = 0; i < file.graph.size; ++i) {
    add(i, i / kSide * kSide + (i + 1) % kSide);
    add(i, (i + kSide) % file.graph.size);
  }
  std::sort(file.graph.edges.begin(), file.graph.edges.end(), [](const Edge& a, const Edge& b) {
    return std::pair(a.first, a.second) < std::pair(b.first, b.second);
  });
  SolveRequest request = default_request(file.kind);
  request.schedule.sweeps = 20;
  request.time_limit_ms = 200 * test::kPatience;
  for (const std::int32_t threads : {1, 2}) {
    request.threads = threads;
    ASSERT_OK_AND_ASSIGN(const BestAnswer answer, solve(file, *device_, request));
    EXPECT_EQ(answer.form, Form::sparse);
    EXPECT_GT(answer.rounds, 0);
    EXPECT_GE(answer.restarts, 32);
    EXPECT_EQ(answer.value, value_of(file, answer.spins));
  }
  // Who counts restarts gets restarts.
  request.restarts = 64;
  ASSERT_OK_AND_ASSIGN(const BestAnswer restarts, solve(file, *device_, request));
  EXPECT_EQ(restarts.rounds, 0);
  EXPECT_EQ(restarts.restarts, 64);
}

// Half of the variables, whatever it costs: in 16 bits the objective is rounded away.
TEST_F(SolveTest, WithATimeLimitTabuSearchMeetsPenalties) {
  constexpr std::int32_t kSize = 300;
  constexpr double kPenalty = 1000;
  std::mt19937 random(11);
  ProblemFile file;
  file.kind = ProblemKind::qubo;
  file.graph.size = kSize;
  for (std::int32_t i = 0; i < kSize; ++i) {
    for (std::int32_t j = i; j < kSize; ++j) {
      const double gain = static_cast<double>(random() % 3) - 1;
      file.graph.edges.push_back({i, j, gain + (i == j ? kPenalty * (1 - kSize) : 2 * kPenalty)});
    }
  }
  SolveRequest request = default_request(file.kind);
  request.time_limit_ms = 200 * test::kPatience;
  for (const std::int32_t threads : {1, 2}) {
    request.threads = threads;
    ASSERT_OK_AND_ASSIGN(const BestAnswer answer, solve(file, *device_, request));
    std::int32_t set = 0;
    for (const std::uint64_t word : answer.spins) set += std::popcount(word);
    EXPECT_EQ(set, kSize / 2);
    EXPECT_STREQ(answer.solved_by, "cpu:tabu");
    EXPECT_EQ(answer.value, value_of(file, answer.spins));
  }
  // Who counts restarts gets restarts.
  request.restarts = 4;
  ASSERT_OK_AND_ASSIGN(const BestAnswer restarts, solve(file, *device_, request));
  EXPECT_EQ(restarts.restarts, 4);
  EXPECT_STRNE(restarts.solved_by, "cpu:tabu");
}

// A tour's penalty without a time limit: exchanges follow after each part.
TEST_F(SolveTest, WithoutATimeLimitExchangesKeepATour) {
  constexpr std::int32_t kSide = 9;
  std::mt19937 random(12);
  ProblemFile file;
  file.kind = ProblemKind::qubo;
  file.graph.size = kSide * kSide;
  for (std::int32_t i = 0; i < file.graph.size; ++i) {
    file.graph.edges.push_back({i, i, -20000});
    for (std::int32_t j = i + 1; j < file.graph.size; ++j) {
      const bool tied = i / kSide == j / kSide || i % kSide == j % kSide;
      file.graph.edges.push_back({i, j, tied ? 20000 : static_cast<double>(random() % 100)});
    }
  }
  SolveRequest request = default_request(file.kind);
  ASSERT_OK_AND_ASSIGN(const BestAnswer one, solve(file, *device_, request));
  std::int32_t set = 0;
  for (const std::uint64_t word : one.spins) set += std::popcount(word);
  EXPECT_EQ(set, kSide);
  EXPECT_STREQ(one.solved_by, "cpu:exchange");
  EXPECT_EQ(one.restarts, kDefaultSolveRestarts);
  request.threads = 3;
  ASSERT_OK_AND_ASSIGN(const BestAnswer three, solve(file, *device_, request));
  EXPECT_EQ(three.spins, one.spins);
  EXPECT_EQ(three.flips, one.flips);
}

TEST_F(SolveTest, HooksAreCalledAndMayEndTheSearch) {
  const ProblemFile file = graph(12, 5);
  SolveRequest request = default_request(file.kind);
  request.restarts = 320;
  std::vector<std::int64_t> begun;
  Form form = Form::factors;
  SolveHooks hooks;
  hooks.prepared = [&](Form chosen, const Decode& decode) {
    form = chosen;
    EXPECT_TRUE(decode.maximises());
    EXPECT_TRUE(begun.empty());
  };
  hooks.progress = [&](double elapsed_ms, std::int64_t restarts) {
    EXPECT_GE(elapsed_ms, 0);
    begun.push_back(restarts);
    return begun.size() < 3;
  };
  ASSERT_OK_AND_ASSIGN(const BestAnswer answer, solve(file, *device_, request, hooks));
  EXPECT_EQ(begun, (std::vector<std::int64_t>{0, 32, 64}));
  EXPECT_EQ(answer.restarts, 64);
  EXPECT_EQ(answer.form, form);
  // Even a search that is ended at once has an answer.
  hooks = {};
  hooks.progress = [](double, std::int64_t) { return false; };
  ASSERT_OK_AND_ASSIGN(const BestAnswer first, solve(file, *device_, request, hooks));
  EXPECT_EQ(first.restarts, 32);
}

TEST_F(SolveTest, AStopKeepsTheBestAnswerSoFar) {
  const ProblemFile file = graph(1200, 7);
  SolveRequest request = default_request(file.kind);
  request.schedule.sweeps = kMaxSweeps;
  std::atomic<bool> stop = false;
  request.stop = &stop;
  std::jthread user([&stop] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    stop = true;
  });
  ASSERT_OK_AND_ASSIGN(const BestAnswer answer, solve(file, *device_, request));
  EXPECT_TRUE(answer.stopped);
  EXPECT_GT(answer.value, 0);
  EXPECT_EQ(answer.value, value_of(file, answer.spins));
  // The sweeps that it did, not those that it was asked for.
  EXPECT_LT(answer.total_sweeps, kMaxSweeps);
  stop = false;
  request.schedule.sweeps = 2;
  request.restarts = 2;
  user.join();
  ASSERT_OK_AND_ASSIGN(const BestAnswer unstopped, solve(file, *device_, request));
  EXPECT_FALSE(unstopped.stopped);
  request.stop = nullptr;
  ASSERT_OK_AND_ASSIGN(const BestAnswer without, solve(file, *device_, request));
  EXPECT_EQ(unstopped.spins, without.spins);
  EXPECT_EQ(unstopped.total_sweeps, without.total_sweeps);
}

TEST_F(SolveTest, AllStatesInTheFilesOwnNumbers) {
  ASSERT_OK_AND_ASSIGN(const auto exact, open_device("exact:"));
  ProblemFile file = graph(12, 8);
  for (Edge& edge : file.graph.edges) edge.weight *= 1e9 / 7;
  ASSERT_OK_AND_ASSIGN(const BestAnswer proven,
                       solve(file, *exact, default_request(ProblemKind::maxcut)));
  EXPECT_TRUE(proven.optimal);
  EXPECT_TRUE(proven.decode.exact);
  EXPECT_EQ(proven.restarts, 0);
  ASSERT_OK_AND_ASSIGN(const BestAnswer annealed,
                       solve(file, *device_, default_request(ProblemKind::maxcut)));
  EXPECT_FALSE(annealed.optimal);
  EXPECT_FALSE(annealed.decode.exact);
  EXPECT_EQ(annealed.value, proven.value);
  EXPECT_STREQ(default_device(file, false), "exact:");
  EXPECT_STREQ(default_device(file, true), "cpu:");
  EXPECT_STREQ(default_device(graph(25, 1), false), "cpu:");
  ASSERT_OK_AND_ASSIGN(const ProblemFile layer,
                       parse_problem("qama x\n1 1 1 1 0\n1\n0.5 1\n", "file"));
  EXPECT_STREQ(default_device(layer, false), "cpu:");
  EXPECT_ERROR(problem_too_large,
               solve(graph(25, 1), *exact, default_request(ProblemKind::maxcut)));
}

TEST_F(SolveTest, BadRequestsAreRefused) {
  const ProblemFile file = graph(8, 6);
  const auto refused = [&](const auto& change) {
    SolveRequest request = default_request(file.kind);
    change(request);
    EXPECT_ERROR(invalid_argument, solve(file, *device_, request));
  };
  refused([](SolveRequest& r) { r.schedule.t_end = 2 * r.schedule.t_start; });
  refused([](SolveRequest& r) { r.restarts = -1; });
  refused([](SolveRequest& r) { r.threads = 0; });
  refused([](SolveRequest& r) { r.time_limit_ms = std::nan(""); });
  refused([](SolveRequest& r) { r.target = HUGE_VAL; });
  refused([](SolveRequest& r) { r.form = Form::factors; });
}

}  // namespace
}  // namespace qama::hal
