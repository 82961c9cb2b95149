// Tabu search: its energies, its pool, and what it finds where penalties are most of a row.
#include "hal/search/tabu.h"

#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <limits>
#include <random>

#include "hal/lower/decode.h"
#include "tests/test_support.h"

namespace qama::hal {
namespace {

/// Few couplings a variable, or all of them: both kinds of rows.
ProblemFile random_problem(std::int32_t size, double density, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> unit(0, 1);
  ProblemFile out;
  out.kind = ProblemKind::qubo;
  out.graph.size = size;
  for (std::int32_t i = 0; i < size; ++i) {
    for (std::int32_t j = i; j < size; ++j) {
      if (i == j || unit(random) < density)
        out.graph.edges.push_back({i, j, static_cast<double>(random() % 19) - 9});
    }
  }
  return out;
}

/// sum of some gains, and a penalty that makes exactly `chosen` variables 1.
ProblemFile cardinality(std::int32_t size, std::int32_t chosen, double penalty, unsigned seed) {
  ProblemFile out = random_problem(size, 1, seed);
  for (Edge& edge : out.graph.edges) {
    edge.weight += edge.first == edge.second ? penalty * (1 - 2 * chosen) : 2 * penalty;
  }
  return out;
}

std::vector<std::uint64_t> found_by(const ProblemFile& file, std::int64_t steps,
                                    const cpu::TabuKernel& kernel = cpu::best_tabu_kernel()) {
  Landscape landscape = *Landscape::of(file);
  const TabuRows rows(landscape);
  TabuSearch search(rows, kernel);
  std::vector<std::uint64_t> out(static_cast<std::size_t>(words_per_head(file.graph.size)));
  search.run(3, steps, {}, out);
  return out;
}

TEST(TabuSearch, FindsTheBestOfAllStates) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    const ProblemFile file =
        seed % 2 == 0 ? random_problem(14, 0.15, seed) : cardinality(14, 5, 1000, seed);
    double best = std::numeric_limits<double>::infinity();
    for (std::uint64_t state = 0; state < (std::uint64_t{1} << 14); ++state)
      best = std::min(best, value_of(file, {&state, 1}));
    EXPECT_EQ(value_of(file, found_by(file, 20000)), best) << "seed " << seed;
  }
}

TEST(TabuSearch, EveryKernelWalksTheSameWay) {
  for (const std::int32_t size : {1, 2, 7, 8, 9, 65, 130}) {
    for (const double density : {0.05, 1.0}) {
      const ProblemFile file = random_problem(size, density, static_cast<unsigned>(size));
      const auto expected = found_by(file, 5000, cpu::tabu_kernels().front());
      for (const cpu::TabuKernel& kernel : cpu::tabu_kernels()) {
        if (!kernel.supported()) continue;
        EXPECT_EQ(found_by(file, 5000, kernel), expected) << kernel.name;
      }
    }
  }
}

TEST(TabuSearch, MeetsACardinality) {
  constexpr std::int32_t kSize = 200;
  constexpr std::int32_t kChosen = 60;
  const auto spins = found_by(cardinality(kSize, kChosen, 1e5, 4), 20000);
  std::int32_t set = 0;
  for (const std::uint64_t word : spins) set += std::popcount(word);
  EXPECT_EQ(set, kChosen);
}

TEST(TabuSearch, IsNoWorseThanWhatItIsOffered) {
  const ProblemFile file = cardinality(100, 20, 1e4, 6);
  const auto offered = found_by(file, 200000);
  const Landscape landscape = *Landscape::of(file);
  const TabuRows rows(landscape);
  TabuSearch search(rows);
  for (int k = 0; k < 3; ++k) search.offer(offered);
  // The pool's other answers are of short runs; mixtures with what was offered find it again.
  std::vector<std::uint64_t> spins(2);
  double best = std::numeric_limits<double>::infinity();
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_GT(search.run(seed, search.steps_of_a_part(), {}, spins), 0);
    best = std::min(best, value_of(file, spins));
  }
  EXPECT_LE(best, value_of(file, offered));
}

TEST(TabuSearch, EndsWhenItIsAskedTo) {
  const ProblemFile file = random_problem(300, 1, 8);
  const Landscape landscape = *Landscape::of(file);
  const TabuRows rows(landscape);
  TabuSearch search(rows);
  const std::atomic<bool> stop = true;
  std::vector<std::uint64_t> spins(5);
  EXPECT_LE(search.run(1, std::int64_t{1} << 40, {&stop}, spins), 64);
}

}  // namespace
}  // namespace qama::hal
