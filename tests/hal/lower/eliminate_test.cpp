// Elimination: what is left has the optimum of the whole, found by enumeration; every answer that
// is lifted back is as good as the eliminated variables allow.
#include "hal/lower/eliminate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "hal/lower/decode.h"
#include "tests/test_support.h"

namespace qama::hal {
namespace {

double best_value(const ProblemFile& file) {
  double best = file.maximises() ? -HUGE_VAL : HUGE_VAL;
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << file.graph.size; ++bits) {
    const double value = value_of(file, {&bits, 1});
    best = file.maximises() ? std::max(best, value) : std::min(best, value);
  }
  return best;
}

/// The value in the file's terms of the best state of the kernel, which is the first of equals.
double best_lifted(const ProblemFile& file, const Elimination& elimination) {
  const ProblemFile& kernel = elimination.kernel();
  std::uint64_t best = 0;
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << kernel.graph.size; ++bits) {
    if (value_of(kernel, {&bits, 1}) > value_of(kernel, {&best, 1})) best = bits;
  }
  return value_of(file, elimination.lift({&best, 1}));
}

/// A random problem of `size` variables in several parts, with about `edges` couplings.
ProblemFile random_problem(ProblemKind kind, std::int32_t size, int edges, int weights,
                           std::mt19937& random) {
  const auto weight = [&] {
    switch (weights) {
      case 0:
        return random() % 2 == 0 ? 1.0 : -1.0;
      case 1:
        return static_cast<double>(random() % 19) - 9;
      default:
        return std::ldexp(static_cast<double>(random() % 1000) - 500,
                          static_cast<int>(random() % 20) - 10);
    }
  };
  std::vector<std::vector<double>> matrix(static_cast<std::size_t>(size),
                                          std::vector<double>(static_cast<std::size_t>(size)));
  const bool linear = kind != ProblemKind::maxcut;
  const auto parts = static_cast<std::size_t>(random() % 4 == 0 ? 2 : 1);
  for (int k = 0; k < edges; ++k) {
    const std::size_t i = random() % static_cast<std::size_t>(size);
    const std::size_t j = random() % static_cast<std::size_t>(size);
    if (i % parts != j % parts || (i == j && !linear)) continue;
    matrix[std::min(i, j)][std::max(i, j)] = weight();
  }
  ProblemFile out;
  out.kind = kind;
  out.maximise = linear && random() % 2 == 0;
  out.offset = linear ? 3.5 : 0;
  out.graph.size = size;
  for (std::int32_t i = 0; i < size; ++i) {
    for (std::int32_t j = i; j < size; ++j) {
      const double w = matrix[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)];
      if (w != 0) out.graph.edges.push_back({i, j, w});
    }
  }
  return out;
}

TEST(Eliminate, TheKernelHasTheOptimumOfTheWhole) {
  std::mt19937 random(1);
  int kernels = 0, empty = 0;
  for (int k = 0; k < 400; ++k) {
    const ProblemKind kind = std::array{ProblemKind::maxcut, ProblemKind::qubo,
                                        ProblemKind::ising}[static_cast<std::size_t>(k % 3)];
    const auto size = static_cast<std::int32_t>(1 + random() % 13);
    const int edges = static_cast<int>(random() % static_cast<unsigned>(9 * size));
    const ProblemFile file = random_problem(kind, size, edges, k / 3 % 3, random);
    SCOPED_TRACE("problem " + std::to_string(k) + ", " + std::to_string(size) + " variables");
    const auto elimination = Elimination::of(file);
    if (!elimination) continue;
    const ProblemFile& kernel = elimination->kernel();
    const std::int32_t fields = kind == ProblemKind::maxcut ? 0 : 1;
    EXPECT_GT(elimination->removed(), 0);
    EXPECT_LE(kernel.graph.size, size + fields - elimination->removed());
    ASSERT_EQ(best_lifted(file, *elimination), best_value(file));
    (kernel.graph.size == 0 ? empty : kernels) += 1;
    for (const Edge& edge : kernel.graph.edges) {
      EXPECT_LT(edge.first, edge.second);
      EXPECT_EQ(edge.weight, std::nearbyint(edge.weight));
      EXPECT_NE(edge.weight, 0);
    }
  }
  EXPECT_GT(kernels, 50);
  EXPECT_GT(empty, 100);
}

// Whatever the kernel's spins are, no eliminated variable is worth a flip.
TEST(Eliminate, EveryLiftedAnswerIsTheBestOfItsKernelsSpins) {
  std::mt19937 random(2);
  for (int k = 0; k < 100; ++k) {
    const ProblemFile file = random_problem(ProblemKind::ising, 60, 110, 1, random);
    const auto elimination = Elimination::of(file);
    ASSERT_TRUE(elimination);
    std::vector<std::uint64_t> spins(
        1 + static_cast<std::size_t>(elimination->kernel().graph.size / 64));
    for (std::uint64_t& word : spins) word = static_cast<std::uint64_t>(random()) << 32 | random();
    const double before = value_of(elimination->kernel(), spins);
    std::vector<std::uint64_t> lifted = elimination->lift(spins);
    const double value = value_of(file, lifted);
    for (std::int32_t i = 0; i < 60; ++i) {
      lifted[0] ^= std::uint64_t{1} << i;
      const double other = value_of(file, lifted);
      lifted[0] ^= std::uint64_t{1} << i;
      if (file.maximises() ? other <= value : other >= value) continue;
      // Then it is one of the kernel, which gains by the flip, too.
      bool gains = false;
      for (std::int32_t v = 0; v < elimination->kernel().graph.size && !gains; ++v) {
        std::vector<std::uint64_t> flipped = spins;
        flipped[static_cast<std::size_t>(v / 64)] ^= std::uint64_t{1} << (v % 64);
        gains = value_of(elimination->kernel(), flipped) > before;
      }
      EXPECT_TRUE(gains);
    }
  }
}

TEST(Eliminate, ATreeAndACycleGoEntirely) {
  ProblemFile path;
  path.kind = ProblemKind::maxcut;
  path.graph.size = 100'000;
  for (std::int32_t i = 0; i + 1 < path.graph.size; ++i)
    path.graph.edges.push_back({i, i + 1, i % 3 == 0 ? -1.0 : 2.0});
  double best = 0;
  for (const Edge& edge : path.graph.edges) best += std::max(0.0, edge.weight);
  auto elimination = Elimination::of(path);
  ASSERT_TRUE(elimination);
  EXPECT_EQ(elimination->kernel().graph.size, 0);
  EXPECT_EQ(elimination->removed(), path.graph.size);
  EXPECT_EQ(value_of(path, elimination->lift({})), best);
  // An odd number of positive edges: one of the lightest is not cut.
  path.graph.edges.push_back({0, path.graph.size - 1, 2});
  std::sort(path.graph.edges.begin(), path.graph.edges.end(), [](const Edge& a, const Edge& b) {
    return std::pair(a.first, a.second) < std::pair(b.first, b.second);
  });
  const auto positive = std::count_if(path.graph.edges.begin(), path.graph.edges.end(),
                                      [](const Edge& edge) { return edge.weight > 0; });
  elimination = Elimination::of(path);
  ASSERT_TRUE(elimination);
  EXPECT_EQ(value_of(path, elimination->lift({})), best + 2 - static_cast<double>(positive % 2));
}

// A hub of many leaves, and two hubs that share them: no quadratic time.
TEST(Eliminate, HubsOfManyNeighbours) {
  ProblemFile file;
  file.kind = ProblemKind::qubo;
  file.graph.size = 200'002;
  for (std::int32_t i = 2; i < file.graph.size; ++i) file.graph.edges.push_back({0, i, -1});
  for (std::int32_t i = 2; i < file.graph.size; ++i) file.graph.edges.push_back({1, i, 1});
  for (std::int32_t i = 2; i < file.graph.size; ++i)
    file.graph.edges.push_back({i, i, i % 2 == 0 ? 0.5 : -0.5});
  const auto elimination = Elimination::of(file);
  ASSERT_TRUE(elimination);
  EXPECT_EQ(elimination->kernel().graph.size, 0);
  // x_0 = 1, x_1 = 0: every leaf gains.
  EXPECT_EQ(value_of(file, elimination->lift({})), -200'000.0);
}

TEST(Eliminate, NothingGoesThatWouldHaveToBeRounded) {
  ProblemFile file;
  file.kind = ProblemKind::maxcut;
  file.graph.size = 4;
  // Vertex 0 has three neighbours; their new couplings need more than 53 bits. The others form a
  // triangle, so that they have three neighbours, too.
  const double tiny = std::ldexp(1.0, -60);
  file.graph.edges = {{0, 1, 1}, {0, 2, 1}, {0, 3, tiny}, {1, 2, tiny}, {1, 3, 1}, {2, 3, 1}};
  EXPECT_FALSE(Elimination::of(file));
  file.graph.edges[2].weight = file.graph.edges[3].weight = 0.5;
  EXPECT_TRUE(Elimination::of(file));
  // A pair of several weights, whose sum is no double.
  file.graph.edges = {{0, 1, 1}, {0, 1, tiny}};
  EXPECT_FALSE(Elimination::of(file));
  // Of doubles that overflow nothing is made.
  file.kind = ProblemKind::qubo;
  const double most = std::numeric_limits<double>::max();
  file.graph.edges = {{0, 0, most}, {0, 1, most}, {1, 2, most}};
  EXPECT_FALSE(Elimination::of(file));
  // Everybody has four neighbours.
  file.kind = ProblemKind::maxcut;
  file.graph.size = 5;
  file.graph.edges.clear();
  for (std::int32_t i = 0; i < 5; ++i) {
    for (std::int32_t j = i + 1; j < 5; ++j) file.graph.edges.push_back({i, j, 1});
  }
  EXPECT_FALSE(Elimination::of(file));
}

TEST(Eliminate, VariablesWithoutCouplings) {
  ProblemFile file;
  file.kind = ProblemKind::ising;
  file.graph.size = 3;
  file.graph.edges = {{1, 1, -2}};
  const auto elimination = Elimination::of(file);
  ASSERT_TRUE(elimination);
  EXPECT_EQ(elimination->kernel().graph.size, 0);
  EXPECT_EQ(elimination->removed(), 3);
  EXPECT_EQ(value_of(file, elimination->lift({})), -2);
  file.graph.edges.clear();
  EXPECT_TRUE(Elimination::of(file));
}

}  // namespace
}  // namespace qama::hal
