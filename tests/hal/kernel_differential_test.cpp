// Every kernel must give the reference's spins, energy, flips and proposals, bit for bit, on every problem.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"
#include "hal/device.h"
#include "tests/hal/hal_test_support.h"
#include "tests/test_support.h"

namespace qama::hal::test {
namespace {

constexpr std::int32_t kTokens[] = {1, 2, 31, 32, 33, 48, 49, 63, 64, 65, 127, 128, 129, 200, 512};
constexpr std::int32_t kPenalties[] = {0, 1, 250, 3000, 16384, 32767};
constexpr std::int32_t kSweeps[] = {0, 1, 5};

/// Temperatures of all sizes, the smallest and the largest that a schedule can give among them.
std::vector<std::uint16_t> random_temperatures(std::int32_t sweeps, Random& random) {
  std::vector<std::uint16_t> out;
  for (std::int32_t k = 0; k < sweeps; ++k) {
    const std::int64_t bits = random.between(0, 17);
    const std::int64_t value = bits == 17 ? cpu::kMaxTemperature : random.between(1, 1LL << bits);
    out.push_back(static_cast<std::uint16_t>(
        std::min<std::int64_t>(value, cpu::kMaxTemperature)));
  }
  return out;
}

void expect_same(const cpu::Kernel& kernel, const SelectionProblem& problem,
                 const std::vector<std::uint16_t>& temperatures, std::uint64_t seed,
                 std::int32_t first, std::int32_t chains, bool settle, const std::string& what) {
  const auto expected =
      KernelRun(cpu::kernels().front(), problem.shape)(problem, temperatures, seed, first, chains, settle);
  const auto got = KernelRun(kernel, problem.shape)(problem, temperatures, seed, first, chains, settle);
  for (std::size_t c = 0; c < expected.size(); ++c) {
    SCOPED_TRACE(std::string(kernel.name) + ", " + what + ", chain " + std::to_string(c) + " of " +
                 std::to_string(chains));
    EXPECT_EQ(got[c].spins, expected[c].spins);
    EXPECT_EQ(got[c].energy, expected[c].energy);
    EXPECT_EQ(got[c].flips, expected[c].flips);
    EXPECT_EQ(got[c].proposals, expected[c].proposals);
    EXPECT_EQ(static_cast<double>(got[c].energy), brute_force_energy(problem, got[c].spins));
  }
}

class KernelDifferential : public testing::TestWithParam<std::int32_t> {};

// The parameter is the number of heads.
TEST_P(KernelDifferential, EqualsTheReference) {
  const std::int32_t heads = GetParam();
  Random random(static_cast<std::uint64_t>(heads));
  for (const std::int32_t tokens : kTokens) {
    for (const ProblemKind kind : kProblemKinds) {
      const auto pick = [&](const auto& list) {
        return list[static_cast<std::size_t>(
            random.between(0, static_cast<std::int64_t>(std::size(list)) - 1))];
      };
      const OwnedProblem owned = OwnedProblem::random({heads, tokens}, kind, pick(kPenalties), random);
      const SelectionProblem problem = owned.problem();
      ASSERT_OK(validate(problem));
      const auto temperatures = random_temperatures(pick(kSweeps), random);
      const auto chains = static_cast<std::int32_t>(random.between(1, cpu::kMaxChains));
      const auto first = static_cast<std::int32_t>(random.between(0, 9));
      const std::uint64_t seed = random.next();
      const bool settle = random.between(0, 3) != 0;
      const std::string what = describe_case(
          problem, "kind " + std::to_string(static_cast<int>(kind)) + ", sweeps " +
                       std::to_string(temperatures.size()) + ", settle " + std::to_string(settle));
      for (const cpu::Kernel* kernel : kernels_under_test()) {
        expect_same(*kernel, problem, temperatures, seed, first, chains, settle, what);
        if (HasFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Heads, KernelDifferential, testing::Range(1, 10));

// A chain's answer must not depend on which chains run beside it.
TEST(KernelChains, AreIndependentOfTheirNeighbours) {
  Random random(77);
  const OwnedProblem owned = OwnedProblem::random({8, 49}, ProblemKind::dense, 300, random);
  const std::vector<std::uint16_t> temperatures = random_temperatures(8, random);
  for (const cpu::Kernel* kernel : kernels_under_test()) {
    KernelRun run(*kernel, {8, 49});
    std::vector<ChainAnswer> alone;
    for (std::int32_t c = 0; c < cpu::kMaxChains; ++c) {
      alone.push_back(run(owned.problem(), temperatures, 5, c, 1).front());
    }
    for (std::int32_t chains = 1; chains <= cpu::kMaxChains; ++chains) {
      const auto together = run(owned.problem(), temperatures, 5, 0, chains);
      for (std::size_t c = 0; c < together.size(); ++c) {
        EXPECT_TRUE(together[c] == alone[c])
            << kernel->name << ", chain " << c << " of " << chains;
      }
    }
  }
}

// The same through the public interface, where a solver may choose its own way of running restarts.
TEST(DeviceDifferential, EqualsTheScalarDevice) {
  Random random(99);
  const ProblemShape shapes[] = {{8, 49}, {8, 64}, {1, 512}, {3, 130}, {1, 17}, {9, 7}};
  for (const ProblemShape& shape : shapes) {
    ASSERT_OK_AND_ASSIGN(const auto scalar, open_device("cpu:scalar"));
    ASSERT_OK_AND_ASSIGN(const auto reference, scalar->compile(shape));
    for (std::int32_t restarts = 1; restarts <= 9; ++restarts) {
      const auto kind = kProblemKinds[static_cast<std::size_t>(random.between(0, 5))];
      const OwnedProblem owned = OwnedProblem::random(shape, kind, 400, random);
      SolveOptions options;
      options.seed = random.next();
      options.sweeps = static_cast<std::int32_t>(random.between(0, 12));
      options.restarts = restarts;
      options.rounds = static_cast<std::int32_t>(random.between(0, 3));
      options.round_sweeps = static_cast<std::int32_t>(random.between(0, 4));
      const auto words = static_cast<std::size_t>(shape.heads * words_per_head(shape.tokens));
      std::vector<std::uint64_t> expected_spins(words);
      SolveResult expected;
      ASSERT_OK(reference->solve(owned.problem(), options, expected_spins, expected));
      for (const cpu::Kernel* kernel : kernels_under_test()) {
        ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:" + std::string(kernel->name)));
        ASSERT_OK_AND_ASSIGN(const auto solver, device->compile(shape));
        std::vector<std::uint64_t> spins(words);
        SolveResult result;
        ASSERT_OK(solver->solve(owned.problem(), options, spins, result));
        SCOPED_TRACE(describe_case(owned.problem(), kernel->name));
        EXPECT_EQ(spins, expected_spins);
        EXPECT_EQ(result.energy, expected.energy);
        EXPECT_EQ(result.proposals, expected.proposals);
        EXPECT_EQ(result.flips, expected.flips);
        EXPECT_EQ(result.restarts, restarts);
        EXPECT_EQ(result.rounds, options.rounds);
        EXPECT_EQ(result.energy, energy_of(owned.problem(), spins));
        // Few-valued problems of one head are solved on bit planes, which the name then says.
        EXPECT_THAT(result.solved_by, testing::StartsWith("cpu:" + std::string(kernel->name)));
      }
    }
  }
}

}  // namespace
}  // namespace qama::hal::test
