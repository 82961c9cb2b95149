// Searches in a file's own numbers: exact where a double rounds, against all states counted in
// other ways, and improvement that never makes an answer worse.
#include "hal/search/landscape.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "hal/lower/decode.h"
#include "hal/search/all_states.h"
#include "hal/text/formats.h"
#include "hal/text/pairs.h"
#include "tests/test_support.h"

namespace qama::hal {
namespace {

ProblemFile random_problem(ProblemKind kind, std::int32_t size, double decades, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> place(-decades / 2, decades / 2);
  ProblemFile out;
  out.kind = kind;
  out.graph.size = size;
  for (std::int32_t i = 0; i < size; ++i) {
    for (std::int32_t j = kind == ProblemKind::maxcut ? i + 1 : i; j < size; ++j) {
      const double weight = std::pow(10.0, place(random));
      out.graph.edges.push_back({i, j, random() % 2 == 0 ? weight : -weight});
    }
  }
  return out;
}

/// The least (largest) value of all states. Values are the nearest doubles to exact sums.
double best_value(const ProblemFile& file) {
  double best = file.maximises() ? -HUGE_VAL : HUGE_VAL;
  for (std::uint64_t state = 0; state < (std::uint64_t{1} << file.graph.size); ++state) {
    const double value = value_of(file, {&state, 1});
    best = file.maximises() ? std::max(best, value) : std::min(best, value);
  }
  return best;
}

double value_of_state(const ProblemFile& file, std::uint32_t state) {
  const std::uint64_t spins = state;
  return value_of(file, {&spins, 1});
}

TEST(Landscape, AllStatesOfEveryKindAndWidth) {
  std::set<std::size_t> words;
  unsigned seed = 0;
  for (const ProblemKind kind : {ProblemKind::qubo, ProblemKind::maxcut, ProblemKind::ising}) {
    for (const double decades : {0.0, 10.0, 27.0, 500.0}) {
      for (const bool maximise : {false, true}) {
        ProblemFile file = random_problem(kind, 9, decades, ++seed);
        file.maximise = maximise;
        ASSERT_OK_AND_ASSIGN(const Landscape landscape, Landscape::of(file));
        words.insert(landscape.words());
        const Exhaustive found = try_all(landscape, {});
        EXPECT_TRUE(found.complete);
        EXPECT_EQ(found.states, 512);
        EXPECT_EQ(value_of_state(file, found.lowest.front()), best_value(file)) << seed;
      }
    }
  }
  EXPECT_EQ(words, (std::set<std::size_t>{1, 2, 4, 36}));
}

TEST(Landscape, TheLowestStatesInOrder) {
  const ProblemFile file = random_problem(ProblemKind::qubo, 9, 0, 3);
  ASSERT_OK_AND_ASSIGN(const Landscape landscape, Landscape::of(file));
  std::vector<double> values;
  for (std::uint32_t state = 0; state < 512; ++state) values.push_back(value_of_state(file, state));
  std::sort(values.begin(), values.end());
  const std::uint32_t best = try_all(landscape, {}).lowest.front();
  for (const std::size_t most : {1U, 2U, 7U, 512U, 600U}) {
    const Exhaustive found = try_all(landscape, {}, most);
    ASSERT_EQ(found.lowest.size(), std::min<std::size_t>(most, 512));
    EXPECT_EQ(found.lowest.front(), best);
    EXPECT_EQ(std::set<std::uint32_t>(found.lowest.begin(), found.lowest.end()).size(),
              found.lowest.size());
    for (std::size_t k = 0; k < found.lowest.size(); ++k)
      EXPECT_EQ(value_of_state(file, found.lowest[k]), values[k]);
  }
}

TEST(Landscape, ASmallWeightCountsBesideALargeOne) {
  // In doubles -1e18 - 1e-9 is -1e18.
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("2 2\n1 1 -1e18\n2 2 -1e-9\n", "file", "qubo"));
  ASSERT_OK_AND_ASSIGN(const Landscape landscape, Landscape::of(file));
  EXPECT_EQ(try_all(landscape, {}).lowest.front(), 3U);
  std::uint64_t spins = 1;
  const auto improver = make_improver(landscape);
  improver->improve({&spins, 1}, 1, 0, {});
  EXPECT_EQ(spins, 3U);
}

TEST(Landscape, TwentyFourVariables) {
  // A ring of whole weights: fixed both ways, then a minimum a variable, one after the other.
  constexpr std::int32_t size = 24;
  std::mt19937 random(5);
  ProblemFile file;
  file.kind = ProblemKind::qubo;
  file.graph.size = size;
  std::int64_t own[size], next[size];
  for (std::int32_t i = 0; i < size; ++i) {
    own[i] = static_cast<std::int64_t>(random() % 2000001) - 1000000;
    next[i] = static_cast<std::int64_t>(random() % 2000001) - 1000000;
    file.graph.edges.push_back({i, i, static_cast<double>(own[i])});
    file.graph.edges.push_back(
        {std::min(i, (i + 1) % size), std::max(i, (i + 1) % size), static_cast<double>(next[i])});
  }
  sort_and_merge(file.graph);
  constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max() / 4;
  std::int64_t best = never;
  for (const int first : {0, 1}) {
    std::int64_t least[2] = {first == 0 ? 0 : never, first == 1 ? own[0] : never};
    for (std::int32_t i = 1; i < size; ++i) {
      std::int64_t now[2] = {never, never};
      for (const int before : {0, 1}) {
        if (i == 1 && before != first) continue;
        for (const int x : {0, 1}) {
          now[x] = std::min(now[x], least[before] + (x == 1 ? own[i] : 0) +
                                        (before == 1 && x == 1 ? next[i - 1] : 0));
        }
      }
      least[0] = now[0];
      least[1] = now[1];
    }
    best = std::min({best, least[0], least[1] + (first == 1 ? next[size - 1] : 0)});
  }
  ASSERT_OK_AND_ASSIGN(const Landscape landscape, Landscape::of(file));
  const Exhaustive found = try_all(landscape, {});
  EXPECT_EQ(found.states, 1 << 24);
  EXPECT_EQ(value_of_state(file, found.lowest.front()), static_cast<double>(best));
}

TEST(Landscape, OfALayer) {
  ASSERT_OK_AND_ASSIGN(
      const ProblemFile file,
      parse_problem("qama x\n2 3 1 1.5 0.25\n1\n0.5 1\n-0.2 2\n0.1 -1\n-1\n1 1\n1 0.5\n-3 1\n",
                    "file"));
  ASSERT_OK_AND_ASSIGN(const Landscape landscape, Landscape::of(file));
  const Exhaustive found = try_all(landscape, {});
  double best = HUGE_VAL;
  for (std::uint64_t state = 0; state < 64; ++state) {
    const std::uint64_t spins[] = {state & 7U, state >> 3};
    best = std::min(best, value_of(file, spins));
  }
  const std::uint64_t spins[] = {found.lowest.front() & 7U, found.lowest.front() >> 3};
  EXPECT_NEAR(value_of(file, spins), best, 1e-12);
}

TEST(Landscape, AStopEndsTheSearchOfAllStates) {
  const ProblemFile file = random_problem(ProblemKind::qubo, 20, 0, 1);
  ASSERT_OK_AND_ASSIGN(const Landscape landscape, Landscape::of(file));
  const std::atomic<bool> stop = true;
  const Exhaustive found = try_all(landscape, {&stop});
  EXPECT_FALSE(found.complete);
  EXPECT_LT(found.states, 1 << 20);
}

TEST(Landscape, SumsBeyondADoubleAreRefused) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("2 2\n1 1 1e308\n1 2 1e308\n", "file", "qubo"));
  EXPECT_ERROR(problem_bad_value, Landscape::of(file));
}

TEST(Improver, AnswersAreNeverWorseAndMostlyBest) {
  int best = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    const ProblemFile file = random_problem(seed % 2 == 0 ? ProblemKind::qubo : ProblemKind::ising,
                                            14, seed % 3 * 13.0, seed);
    ASSERT_OK_AND_ASSIGN(const Landscape landscape, Landscape::of(file));
    const auto improver = make_improver(landscape);
    std::uint64_t spins = seed * 77U & 0x3FFFU;
    const double before = value_of(file, {&spins, 1});
    std::uint64_t descended = spins;
    improver->improve({&descended, 1}, seed, 0, {});
    EXPECT_LE(value_of(file, {&descended, 1}), before);
    std::uint64_t again = spins;
    improver->improve({&spins, 1}, seed, 4000, {});
    EXPECT_LE(value_of(file, {&spins, 1}), value_of(file, {&descended, 1}));
    improver->improve({&again, 1}, seed, 4000, {});
    EXPECT_EQ(again, spins);
    best += value_of(file, {&spins, 1}) == best_value(file) ? 1 : 0;
  }
  EXPECT_GE(best, 39);
}

TEST(Improver, TwoCoupledVariablesFlipTogether) {
  // From 01 every single flip costs something; 10 is better by 1.
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("2 3\n1 1 -2\n2 2 -1\n1 2 200000\n", "file", "qubo"));
  ASSERT_OK_AND_ASSIGN(const Landscape landscape, Landscape::of(file));
  std::uint64_t spins = 2;
  make_improver(landscape)->improve({&spins, 1}, 1, 0, {});
  EXPECT_EQ(spins, 1U);
}

TEST(Improver, EnergiesCompareExactly) {
  ASSERT_OK_AND_ASSIGN(const ProblemFile file,
                       parse_problem("3 3\n1 1 1e18\n2 2 1e-9\n3 3 0.5\n", "file", "qubo"));
  ASSERT_OK_AND_ASSIGN(const Landscape landscape, Landscape::of(file));
  const auto improver = make_improver(landscape);
  const std::atomic<bool> stop = true;  // answers stay as they are
  const auto energy = [&](std::uint64_t spins) {
    improver->improve({&spins, 1}, 1, 0, {&stop});
    return improver->energy();
  };
  EXPECT_TRUE(is_lower(energy(1), energy(3)));
  EXPECT_TRUE(is_lower(energy(0), energy(2)));
  EXPECT_FALSE(is_lower(energy(3), energy(1)));
  EXPECT_FALSE(is_lower(energy(3), energy(3)));
}

}  // namespace
}  // namespace qama::hal
