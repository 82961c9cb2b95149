// Every kernel must give the reference's spins, energy, flips and proposals, bit for bit, on every
// problem.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hal/cpu/dense/recombine.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"
#include "hal/device.h"
#include "tests/hal/cpu/hal_test_support.h"
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
    out.push_back(static_cast<std::uint16_t>(std::min<std::int64_t>(value, cpu::kMaxTemperature)));
  }
  return out;
}

void expect_same(const cpu::Kernel& kernel, const DenseView& problem,
                 const std::vector<std::uint16_t>& temperatures, std::uint64_t seed,
                 std::int32_t first, std::int32_t chains, bool settle, const std::string& what) {
  const auto expected = KernelRun(cpu::kernels().front(), problem.shape)(
      problem, temperatures, seed, first, chains, settle);
  const auto got =
      KernelRun(kernel, problem.shape)(problem, temperatures, seed, first, chains, settle);
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
      const OwnedProblem owned =
          OwnedProblem::random({heads, tokens}, kind, pick(kPenalties), random);
      const DenseView problem = owned.problem();
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
        EXPECT_TRUE(together[c] == alone[c]) << kernel->name << ", chain " << c << " of " << chains;
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
      options.schedule.sweeps = static_cast<std::int32_t>(random.between(0, 12));
      options.schedule.restarts = restarts;
      options.schedule.start = static_cast<StartKind>(restarts % 3);
      options.schedule.rounds = static_cast<std::int32_t>(random.between(0, 3));
      options.schedule.round_sweeps = static_cast<std::int32_t>(random.between(0, 4));
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
        EXPECT_EQ(result.rounds, options.schedule.rounds);
        EXPECT_EQ(result.energy, energy_of(owned.problem(), spins));
        // Few-valued problems of one head are solved on bit planes, which the name then says.
        EXPECT_THAT(result.solved_by, testing::StartsWith("cpu:" + std::string(kernel->name)));
      }
    }
  }
}

// Rounds recombine the heads of all answers (hal/cpu/dense/recombine.h): so many that a head's
// states no longer have room and the oldest go, and sizes where a pool is, or just is not, for the
// problem.
TEST(DeviceDifferential, RecombinesAsTheScalarDevice) {
  Random random(101);
  const ProblemShape shapes[] = {{8, 49}, {8, 64}, {2, 64}, {5, 20}, {8, 3}, {8, 65}, {9, 20}};
  for (const ProblemShape& shape : shapes) {
    ASSERT_OK_AND_ASSIGN(const auto scalar, open_device("cpu:scalar"));
    ASSERT_OK_AND_ASSIGN(const auto reference, scalar->compile(shape));
    for (const ProblemKind kind : kProblemKinds) {
      const OwnedProblem owned = OwnedProblem::random(shape, kind, 400, random);
      SolveOptions options;
      options.seed = random.next();
      options.schedule.sweeps = 2;
      options.schedule.restarts = 40;
      options.schedule.rounds = 16;
      options.schedule.round_sweeps = 1;
      const auto words = static_cast<std::size_t>(shape.heads * words_per_head(shape.tokens));
      std::vector<std::uint64_t> expected_spins(words);
      SolveResult expected;
      ASSERT_OK(reference->solve(owned.problem(), options, expected_spins, expected));
      EXPECT_EQ(expected.energy, energy_of(owned.problem(), expected_spins));
      for (const cpu::Kernel* kernel : kernels_under_test()) {
        ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:" + std::string(kernel->name)));
        ASSERT_OK_AND_ASSIGN(const auto solver, device->compile(shape));
        std::vector<std::uint64_t> spins(words);
        SolveResult result;
        SCOPED_TRACE(describe_case(owned.problem(), kernel->name));
        // Twice: the second solve must find nothing of the first in its pool.
        for (int time = 0; time < 2; ++time) {
          ASSERT_OK(solver->solve(owned.problem(), options, spins, result));
          EXPECT_EQ(spins, expected_spins);
          EXPECT_EQ(result.energy, expected.energy);
          EXPECT_EQ(result.flips, expected.flips);
          EXPECT_EQ(result.sweeps, expected.sweeps);
          EXPECT_EQ(result.proposals, expected.proposals);
        }
      }
    }
  }
}

/// A kernel's pool and the chains that it fills.
class KernelPoolRun {
 public:
  KernelPoolRun(const cpu::Kernel& kernel, const ProblemShape& shape)
      : kernel_(kernel),
        heads_(static_cast<std::size_t>(shape.heads)),
        pool_(std::make_unique<cpu::HeadPool>()) {
    fields_.resize(cpu::kProposals * heads_ * 64);
    counts_.resize(cpu::kProposals * std::size_t{64});
    spins_.resize(cpu::kProposals * heads_);
    for (std::size_t c = 0; c < chains_.size(); ++c) {
      chains_[c].fields = fields_.data() + c * heads_ * 64;
      chains_[c].counts = counts_.data() + c * 64;
      chains_[c].spins = spins_.data() + c * heads_;
    }
  }

  void start(const DenseView& problem) { cpu::start_pool(*pool_, problem); }

  void collect(const DenseView& problem, const std::vector<std::uint64_t>& spins, bool best) {
    set(problem, spins, chains_[0]);
    kernel_.collect(*pool_, problem, std::span<const cpu::Chain>(chains_).first(1), best ? 0 : -1);
  }

  /// All chains' spins one after the other, or nothing. Fields and counts must be those of the
  /// spins.
  std::vector<std::uint64_t> recombine(const DenseView& problem, std::int32_t limit) {
    pool_->limit = limit;
    const std::int32_t count = kernel_.search(*pool_, problem);
    std::vector<std::uint64_t> out;
    if (count == 0) return out;
    kernel_.assemble(*pool_, problem, 0, chains_);
    EXPECT_LE(count, cpu::kProposals);
    for (std::size_t c = 0; c < chains_.size(); ++c) {
      const std::vector<std::uint64_t> spins(chains_[c].spins, chains_[c].spins + heads_);
      const std::vector<std::int16_t> fields(chains_[c].fields, chains_[c].fields + heads_ * 64);
      const std::vector<std::int16_t> counts(chains_[c].counts, chains_[c].counts + 64);
      set(problem, spins, chains_[c]);
      EXPECT_TRUE(std::equal(fields.begin(), fields.end(), chains_[c].fields)) << "chain " << c;
      EXPECT_TRUE(std::equal(counts.begin(), counts.end(), chains_[c].counts)) << "chain " << c;
      out.insert(out.end(), spins.begin(), spins.end());
    }
    return out;
  }

 private:
  static void set(const DenseView& problem, const std::vector<std::uint64_t>& spins,
                  cpu::Chain& chain) {
    std::fill_n(chain.counts, 64, std::int16_t{0});
    for (std::size_t t = 0; t < spins.size(); ++t) {
      chain.spins[t] = spins[t];
      std::copy_n(problem.fields + t * 64, 64, chain.fields + t * 64);
      for (std::size_t i = 0; i < static_cast<std::size_t>(problem.shape.tokens); ++i) {
        if ((spins[t] >> i & 1U) == 0) continue;
        const std::int16_t* const row =
            problem.couplings + (t * static_cast<std::size_t>(problem.shape.tokens) + i) * 64;
        for (std::size_t j = 0; j < 64; ++j) {
          chain.fields[t * 64 + j] = static_cast<std::int16_t>(chain.fields[t * 64 + j] + row[j]);
        }
        chain.counts[i] = static_cast<std::int16_t>(chain.counts[i] + problem.penalty);
      }
    }
  }

  const cpu::Kernel& kernel_;
  const std::size_t heads_;
  std::unique_ptr<cpu::HeadPool> pool_;
  AlignedBuffer<std::int16_t> fields_, counts_;
  AlignedBuffer<std::uint64_t> spins_;
  std::array<cpu::Chain, cpu::kProposals> chains_;
};

// What a pool proposes, kernel beside kernel: answers that never were annealed, far from each other
// and nearly alike, so that heads fill up, energies reach their clamp and searches run out of
// proposals.
TEST(KernelPools, ProposeWhatTheReferenceProposes) {
  Random random(102);
  // Every second search is limited.
  const auto limit_of = [](std::size_t k) {
    return k % 2 == 0 ? INT32_MAX : static_cast<std::int32_t>(100 * k);
  };
  for (const ProblemShape shape : {ProblemShape{8, 49}, {3, 64}, {8, 6}}) {
    for (const std::int32_t penalty : {3, 300}) {
      const OwnedProblem owned = OwnedProblem::random(shape, ProblemKind::dense, penalty, random);
      ASSERT_TRUE(cpu::can_recombine(owned.problem()));
      KernelPoolRun expected(cpu::kernels().front(), shape);
      std::int32_t proposals = 0;
      std::vector<std::vector<std::uint64_t>> answers;
      for (int k = 0; k < 60; ++k) {
        // A new answer, or one that has some heads of an earlier one.
        std::vector<std::uint64_t> spins(static_cast<std::size_t>(shape.heads));
        const std::uint64_t all =
            shape.tokens == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << shape.tokens) - 1;
        for (std::uint64_t& word : spins) word = random.next() & random.next() & all;
        if (k > 2 && random.between(0, 1) == 0) {
          const auto& other = answers[static_cast<std::size_t>(random.between(0, k - 1))];
          for (std::size_t t = 0; t < spins.size(); ++t) {
            if (random.between(0, 2) > 0) spins[t] = other[t];
          }
        }
        answers.push_back(spins);
      }
      expected.start(owned.problem());
      std::vector<std::vector<std::uint64_t>> proposed;
      for (std::size_t k = 0; k < answers.size(); ++k) {
        expected.collect(owned.problem(), answers[k], k % 5 == 0);
        if (k % 3 != 2) continue;
        proposed.push_back(expected.recombine(owned.problem(), limit_of(k)));
        proposals += proposed.back().empty() ? 0 : 1;
      }
      EXPECT_GT(proposals, 0);
      for (const cpu::Kernel* kernel : kernels_under_test()) {
        SCOPED_TRACE(describe_case(owned.problem(), kernel->name));
        KernelPoolRun run(*kernel, shape);
        run.start(owned.problem());
        std::size_t next = 0;
        for (std::size_t k = 0; k < answers.size(); ++k) {
          run.collect(owned.problem(), answers[k], k % 5 == 0);
          if (k % 3 == 2) {
            EXPECT_EQ(run.recombine(owned.problem(), limit_of(k)), proposed[next++]) << k;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace qama::hal::test
