// At a fixed temperature the annealer's sweeps must sample exp(-E / T). Small problems, and
// problems of many words whose spins fall into small groups that do not touch each other, are
// compared with exact enumeration: the mean of every spin and the correlation of every pair within
// a group, in units of the standard error.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "hal/cpu/schedule.h"
#include "tests/hal/cpu/hal_test_support.h"

namespace qama::hal::test {
namespace {

/// A spin by head and token.
struct Spin {
  std::int32_t head, token;
};
using Group = std::vector<Spin>;

/// Groups of spins that are connected by a coupling or by the penalty.
std::vector<Group> connected_groups(const DenseView& p) {
  const std::int32_t heads = p.shape.heads;
  const std::int32_t tokens = p.shape.tokens;
  const auto stride = static_cast<std::size_t>(row_stride(tokens));
  std::vector<std::int32_t> root(static_cast<std::size_t>(p.shape.spins()));
  std::iota(root.begin(), root.end(), 0);
  const auto find = [&](std::int32_t a) {
    while (root[static_cast<std::size_t>(a)] != a) a = root[static_cast<std::size_t>(a)];
    return a;
  };
  const auto join = [&](std::int32_t a, std::int32_t b) {
    root[static_cast<std::size_t>(find(a))] = find(b);
  };
  for (std::int32_t t = 0; t < heads; ++t) {
    for (std::int32_t i = 0; i < tokens; ++i) {
      for (std::int32_t j = i + 1; j < tokens; ++j) {
        const auto row = static_cast<std::size_t>(t * tokens + i);
        if (p.couplings[row * stride + static_cast<std::size_t>(j)] != 0)
          join(t * tokens + i, t * tokens + j);
      }
      if (p.penalty != 0 && t > 0) join(t * tokens + i, i);
    }
  }
  std::vector<Group> groups(root.size());
  for (std::int32_t a = 0; a < static_cast<std::int32_t>(root.size()); ++a) {
    groups[static_cast<std::size_t>(find(a))].push_back({a / tokens, a % tokens});
  }
  std::erase_if(groups, [](const Group& group) { return group.empty(); });
  return groups;
}

double group_energy(const DenseView& p, const Group& group, std::uint64_t bits) {
  const auto stride = static_cast<std::size_t>(row_stride(p.shape.tokens));
  double energy = 0;
  for (std::size_t a = 0; a < group.size(); ++a) {
    if (((bits >> a) & 1U) == 0) continue;
    const auto [t, i] = group[a];
    energy -= p.fields[static_cast<std::size_t>(t) * stride + static_cast<std::size_t>(i)];
    for (std::size_t b = a + 1; b < group.size(); ++b) {
      if (((bits >> b) & 1U) == 0) continue;
      const auto [u, j] = group[b];
      if (t == u) {
        energy -= p.couplings[static_cast<std::size_t>(t * p.shape.tokens + i) * stride +
                              static_cast<std::size_t>(j)];
      } else if (i == j) {
        energy += p.penalty;
      }
    }
  }
  return energy;
}

/// Exact <s_a s_b> of a group at temperature T; the diagonal holds <s_a>.
std::vector<double> exact_pairs(const DenseView& p, const Group& group, double temperature) {
  const std::size_t n = group.size();
  std::vector<double> sums(n * n);
  double partition = 0;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << n); ++bits) {
    const double weight = std::exp(-group_energy(p, group, bits) / temperature);
    partition += weight;
    for (std::size_t a = 0; a < n; ++a) {
      if (((bits >> a) & 1U) == 0) continue;
      for (std::size_t b = 0; b < n; ++b) {
        if (((bits >> b) & 1U) != 0) sums[a * n + b] += weight;
      }
    }
  }
  for (double& sum : sums) sum /= partition;
  return sums;
}

struct Case {
  const char* name;
  OwnedProblem owned;
  double temperature;  ///< in energy units
};

/// Largest difference of a mean or a pair from its exact value at temperature `exact_temperature`,
/// in standard errors of `samples` draws.
double worst_deviation(const cpu::Kernel& kernel, const Case& what, std::int32_t samples,
                       double exact_temperature) {
  const DenseView p = what.owned.problem();
  const std::vector<Group> groups = connected_groups(p);
  std::vector<std::vector<std::int64_t>> counts;
  for (const Group& group : groups) {
    EXPECT_LE(group.size(), 16U) << what.name << ": a group is too large to enumerate";
    counts.emplace_back(group.size() * group.size());
  }
  constexpr std::size_t kSweeps = 40;
  const std::vector<std::uint16_t> temperatures(
      kSweeps, static_cast<std::uint16_t>(what.temperature * cpu::kTemperatureOne));
  KernelRun run(kernel, p.shape);
  const std::int32_t words = words_per_head(p.shape.tokens);
  for (std::int32_t done = 0; done < samples; done += cpu::kMaxChains) {
    for (const ChainAnswer& chain : run(p, temperatures, 1234, done, cpu::kMaxChains, false)) {
      for (std::size_t g = 0; g < groups.size(); ++g) {
        const std::size_t n = groups[g].size();
        std::uint64_t bits = 0;
        for (std::size_t a = 0; a < n; ++a) {
          const auto [t, i] = groups[g][a];
          bits |= ((chain.spins[static_cast<std::size_t>(t * words + i / 64)] >> (i % 64)) & 1U)
                  << a;
        }
        for (std::size_t a = 0; a < n; ++a) {
          for (std::size_t b = a; b < n; ++b) {
            counts[g][a * n + b] += static_cast<std::int64_t>((bits >> a) & (bits >> b) & 1U);
          }
        }
      }
    }
  }
  double worst = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::size_t n = groups[g].size();
    const std::vector<double> exact = exact_pairs(p, groups[g], exact_temperature);
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = a; b < n; ++b) {
        const double mean = static_cast<double>(counts[g][a * n + b]) / samples;
        const double expected = exact[a * n + b];
        // At least one count's worth of error, for probabilities near 0 or 1.
        const double error =
            std::max(std::sqrt(expected * (1 - expected) / samples), 1.0 / samples);
        worst = std::max(worst, std::fabs(mean - expected) / error);
      }
    }
  }
  return worst;
}

std::vector<Case> cases() {
  std::vector<Case> out;
  Random random(31);
  const auto value = [&random] { return static_cast<std::int16_t>(random.between(-1500, 1500)); };
  {
    // One word: all of it coupled, two heads with a penalty.
    Case c{"2 x 7, all coupled", OwnedProblem({2, 7}, 900), 2000};
    for (std::int32_t t = 0; t < 2; ++t) {
      for (std::int32_t i = 0; i < 7; ++i) {
        c.owned.field(t, i) = value();
        for (std::int32_t j = i + 1; j < 7; ++j) c.owned.couple(t, i, j, value());
      }
    }
    out.push_back(std::move(c));
  }
  {
    Case c{"1 x 13, all coupled, cold", OwnedProblem({1, 13}, 0), 700};
    for (std::int32_t i = 0; i < 13; ++i) {
      c.owned.field(0, i) = value();
      for (std::int32_t j = i + 1; j < 13; ++j)
        c.owned.couple(0, i, j, static_cast<std::int16_t>(value() / 3));
    }
    out.push_back(std::move(c));
  }
  {
    // Three words: couplings across the words' borders, a penalty for every token.
    Case c{"2 x 130, groups across words", OwnedProblem({2, 130}, 700), 1500};
    const std::int32_t group[] = {0, 63, 64, 127, 129};
    for (std::int32_t t = 0; t < 2; ++t) {
      for (std::int32_t i = 0; i < 130; ++i) c.owned.field(t, i) = value();
      for (std::size_t a = 0; a < std::size(group); ++a) {
        for (std::size_t b = a + 1; b < std::size(group); ++b)
          c.owned.couple(t, group[a], group[b], value());
      }
      for (std::int32_t i = 2; i <= 61; ++i) c.owned.couple(t, i, i + 65, value());
    }
    out.push_back(std::move(c));
  }
  return out;
}

TEST(Boltzmann, AveragesEqualEnumeration) {
  for (const Case& c : cases()) {
    ASSERT_TRUE(validate(c.owned.problem()).ok()) << c.name;
    for (const cpu::Kernel* kernel : kernels_under_test()) {
      const double worst = worst_deviation(*kernel, c, 8192, c.temperature);
      RecordProperty(std::string(kernel->name) + " " + c.name, std::to_string(worst));
      EXPECT_LT(worst, 5.0) << kernel->name << ", " << c.name;
    }
  }
}

// The measure must be able to tell: averages of another temperature are far off.
TEST(Boltzmann, AnotherTemperatureIsNoticed) {
  const std::vector<Case> all = cases();
  EXPECT_GT(worst_deviation(cpu::best_kernel(), all[0], 8192, 1.15 * all[0].temperature), 5.0);
}

}  // namespace
}  // namespace qama::hal::test
