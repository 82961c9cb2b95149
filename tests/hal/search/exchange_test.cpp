// Groups that are found in a problem, and annealing by exchanges that keep them.
#include "hal/search/exchange.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <random>

#include "hal/lower/decode.h"
#include "tests/test_support.h"

namespace qama::hal {
namespace {

constexpr double kPenalty = 1000;

/// A problem whose groups are given as lists of variables; pairs of no group are coupled at random.
ProblemFile grouped(std::int32_t size, const std::vector<std::vector<std::int32_t>>& groups,
                    unsigned seed) {
  std::mt19937 random(seed);
  const auto n = static_cast<std::size_t>(size);
  std::vector<double> weights(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i; j < n; ++j)
      weights[i * n + j] = static_cast<double>(random() % 41) - 20;
  }
  for (const auto& group : groups) {
    for (const std::int32_t i : group) {
      weights[static_cast<std::size_t>(i) * (n + 1)] -= kPenalty;
      for (const std::int32_t j : group) {
        if (i < j)
          weights[static_cast<std::size_t>(i) * n + static_cast<std::size_t>(j)] = 2 * kPenalty;
      }
    }
  }
  ProblemFile out;
  out.kind = ProblemKind::qubo;
  out.graph.size = size;
  for (std::int32_t i = 0; i < size; ++i) {
    for (std::int32_t j = i; j < size; ++j) {
      const double weight = weights[static_cast<std::size_t>(i) * n + static_cast<std::size_t>(j)];
      if (weight != 0) out.graph.edges.push_back({i, j, weight});
    }
  }
  return out;
}

/// Rows and columns of a grid whose variables are shuffled.
std::vector<std::vector<std::int32_t>> grid(std::int32_t side, std::mt19937& random) {
  std::vector<std::int32_t> at(static_cast<std::size_t>(side * side));
  std::iota(at.begin(), at.end(), 0);
  std::shuffle(at.begin(), at.end(), random);
  std::vector<std::vector<std::int32_t>> out(static_cast<std::size_t>(2 * side));
  for (std::int32_t a = 0; a < side; ++a) {
    for (std::int32_t b = 0; b < side; ++b) {
      const std::int32_t i = at[static_cast<std::size_t>(a * side + b)];
      out[static_cast<std::size_t>(a)].push_back(i);
      out[static_cast<std::size_t>(side + b)].push_back(i);
    }
  }
  return out;
}

bool has_one_of_each(const std::vector<std::uint64_t>& spins,
                     const std::vector<std::vector<std::int32_t>>& groups) {
  return std::all_of(groups.begin(), groups.end(), [&](const auto& group) {
    return std::count_if(group.begin(), group.end(), [&](std::int32_t i) {
             return ((spins[static_cast<std::size_t>(i / 64)] >> (i % 64)) & 1U) != 0;
           }) == 1;
  });
}

double least_of_all_states(const ProblemFile& file) {
  double best = std::numeric_limits<double>::infinity();
  for (std::uint64_t state = 0; state < (std::uint64_t{1} << file.graph.size); ++state)
    best = std::min(best, value_of(file, {&state, 1}));
  return best;
}

/// The best of some runs, which all keep the groups.
double best_of_runs(const ProblemFile& file, const std::vector<std::vector<std::int32_t>>& groups,
                    int runs) {
  const Landscape landscape = *Landscape::of(file);
  const TabuRows rows(landscape);
  const auto found = Groups::of(landscape);
  if (!found) return std::numeric_limits<double>::infinity();
  ExchangeSearch search(rows, *found);
  std::vector<std::uint64_t> spins(static_cast<std::size_t>(words_per_head(file.graph.size)));
  double best = std::numeric_limits<double>::infinity();
  for (int run = 0; run < runs; ++run) {
    EXPECT_GT(search.run(static_cast<std::uint64_t>(run), {}, spins), 0);
    EXPECT_TRUE(has_one_of_each(spins, groups)) << "run " << run;
    best = std::min(best, value_of(file, spins));
  }
  return best;
}

TEST(Exchange, FindsAShuffledGridAndItsBestAnswer) {
  std::mt19937 random(60);
  for (unsigned seed = 1; seed <= 10; ++seed) {
    const auto groups = grid(4, random);
    const ProblemFile file = grouped(16, groups, seed);
    ASSERT_OK_AND_ASSIGN(const Landscape landscape, Landscape::of(file));
    const auto found = Groups::of(landscape);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->side, 4);
    EXPECT_EQ(found->weight, 2 * kPenalty);
    EXPECT_EQ(best_of_runs(file, groups, 6), least_of_all_states(file)) << "seed " << seed;
  }
}

TEST(Exchange, FindsOneHotGroupsAndLooseVariables) {
  const std::vector<std::vector<std::int32_t>> groups = {{0, 5, 9}, {1, 2, 3, 4}, {6, 8}};
  for (unsigned seed = 1; seed <= 10; ++seed) {
    const ProblemFile file = grouped(14, groups, seed);
    ASSERT_OK_AND_ASSIGN(const Landscape landscape, Landscape::of(file));
    const auto found = Groups::of(landscape);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->side, 0);
    EXPECT_EQ(found->members, (std::vector<std::int32_t>{0, 5, 9, 1, 2, 3, 4, 6, 8}));
    EXPECT_EQ(found->first, (std::vector<std::int32_t>{0, 3, 7, 9}));
    EXPECT_EQ(found->loose, (std::vector<std::int32_t>{7, 10, 11, 12, 13}));
    EXPECT_EQ(best_of_runs(file, groups, 6), least_of_all_states(file)) << "seed " << seed;
  }
}

TEST(Exchange, LargeGridsOnBothKindsOfRows) {
  std::mt19937 random(61);
  const auto groups = grid(12, random);
  ProblemFile file = grouped(144, groups, 3);
  EXPECT_LT(best_of_runs(file, groups, 3), 0);
  // Few couplings beside the groups' own: rows of neighbours.
  std::erase_if(file.graph.edges, [&](const Edge& edge) {
    return edge.weight != 2 * kPenalty && edge.first != edge.second && random() % 50 != 0;
  });
  EXPECT_LT(best_of_runs(file, groups, 3), 0);
}

TEST(Exchange, OtherProblemsHaveNoGroups) {
  std::mt19937 random(62);
  const auto none = [](const ProblemFile& file) {
    const Landscape landscape = *Landscape::of(file);
    return !Groups::of(landscape).has_value();
  };
  EXPECT_TRUE(none(grouped(40, {}, 1)));
  EXPECT_TRUE(none(grouped(40, {{1, 2, 3}, {4, 5, 6}}, 1)));            // most variables are loose
  EXPECT_TRUE(none(grouped(9, {{0, 1, 2}, {2, 3, 4}, {5, 6, 7}}, 1)));  // two groups overlap
  // A grid of which one tie is missing, or heavier.
  for (const double weight : {0.0, 2 * kPenalty + 1}) {
    ProblemFile file = grouped(25, grid(5, random), 2);
    const auto tie = std::find_if(file.graph.edges.begin(), file.graph.edges.end(),
                                  [](const Edge& edge) { return edge.weight == 2 * kPenalty; });
    ASSERT_NE(tie, file.graph.edges.end());
    tie->weight = weight;
    EXPECT_TRUE(none(file));
  }
  ProblemFile empty;
  empty.kind = ProblemKind::qubo;
  empty.graph.size = 30;
  EXPECT_TRUE(none(empty));
}

TEST(Exchange, TheSameSeedsGiveTheSameAnswers) {
  std::mt19937 random(63);
  const auto groups = grid(8, random);
  const ProblemFile file = grouped(64, groups, 5);
  EXPECT_EQ(best_of_runs(file, groups, 4), best_of_runs(file, groups, 4));
}

TEST(Exchange, EndsWhenItIsAskedTo) {
  std::mt19937 random(64);
  const Landscape landscape = *Landscape::of(grouped(400, grid(20, random), 6));
  const TabuRows rows(landscape);
  const auto found = Groups::of(landscape);
  ASSERT_TRUE(found.has_value());
  ExchangeSearch search(rows, *found);
  const std::atomic<bool> stop = true;
  std::vector<std::uint64_t> spins(7);
  EXPECT_LE(search.run(1, {&stop}, spins), 256);
}

}  // namespace
}  // namespace qama::hal
