// Problems as rows of neighbours (hal/cpu/sparse/sparse.h): the spins of the same problem as a
// matrix, on every kernel and for any number of restarts side by side; the rules of such a problem;
// misuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"
#include "hal/cpu/sparse/recombine.h"
#include "hal/device.h"
#include "tests/hal/cpu/answers.h"
#include "tests/hal/cpu/hal_test_support.h"
#include "tests/test_support.h"

namespace qama::hal::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

Answer solve(Solver& solver, const SparseView& problem, const SolveOptions& options) {
  Answer out;
  out.spins.resize(static_cast<std::size_t>(words_per_head(problem.spins)));
  EXPECT_OK(solver.solve(problem, options, out.spins, out.result));
  EXPECT_EQ(out.result.energy, energy_of(problem, out.spins));
  return out;
}

std::unique_ptr<Solver> solver_of(const std::string& uri, std::int32_t spins) {
  auto device = open_device(uri);
  EXPECT_OK(device);
  auto solver = (*device)->compile({{1, spins}, Form::sparse});
  EXPECT_OK(solver);
  return std::move(*solver);
}

SolveOptions random_options(std::int32_t most_restarts, Random& random) {
  SolveOptions options;
  options.seed = random.next();
  options.schedule.sweeps = static_cast<std::int32_t>(random.between(0, 12));
  options.schedule.restarts = static_cast<std::int32_t>(random.between(1, most_restarts));
  options.schedule.t_start = static_cast<float>(0.3 + 3 * random.unit());
  options.schedule.t_end = static_cast<float>(0.01 + 0.2 * random.unit());
  return options;
}

TEST(Sparse, EveryKernelGivesTheSpinsOfTheMatrix) {
  Random random(31);
  for (const std::int32_t spins : {1, 2, 31, 63, 64, 65, 127, 128, 129, 200, 257}) {
    for (const ProblemKind kind : kProblemKinds) {
      const OwnedProblem owned = OwnedProblem::random({1, spins}, kind, 0, random);
      const OwnedSparse sparse(owned.problem());
      ASSERT_OK(validate(sparse.problem()));
      const SolveOptions options = random_options(70, random);
      ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:scalar"));
      ASSERT_OK_AND_ASSIGN(const auto matrix, device->compile({1, spins}));
      Answer expected;
      expected.spins.resize(static_cast<std::size_t>(words_per_head(spins)));
      ASSERT_OK(matrix->solve(owned.problem(), options, expected.spins, expected.result));
      for (const cpu::Kernel* kernel : kernels_under_test()) {
        SCOPED_TRACE(describe_case(owned.problem(), std::string(kernel->name) + ", restarts " +
                                                        std::to_string(options.schedule.restarts)));
        const Answer got =
            solve(*solver_of("cpu:" + std::string(kernel->name), spins), sparse.problem(), options);
        expect_same(got, expected);
        EXPECT_THAT(got.result.solved_by, EndsWith(" sparse"));
        if (HasFailure()) return;
      }
    }
  }
}

TEST(Sparse, EveryNumberOfRestartsSideBySide) {
  Random random(32);
  const OwnedSparse sparse = OwnedSparse::random(150, 6, random);
  ASSERT_OK(validate(sparse.problem()));
  for (std::int32_t restarts = 1; restarts <= 2 * cpu::kSparseLanes + 1; ++restarts) {
    SolveOptions options = random_options(1, random);
    options.schedule.restarts = restarts;
    const Answer expected = solve(*solver_of("cpu:scalar", 150), sparse.problem(), options);
    for (const cpu::Kernel* kernel : kernels_under_test()) {
      SCOPED_TRACE(std::string(kernel->name) + ", restarts " + std::to_string(restarts));
      expect_same(
          solve(*solver_of("cpu:" + std::string(kernel->name), 150), sparse.problem(), options),
          expected);
    }
    if (HasFailure()) return;
  }
}

// More spins than a matrix may have, and than sums of 16-bit numbers fit into 32 bits.
TEST(Sparse, ManySpins) {
  Random random(33);
  constexpr std::int32_t kSpins = 70001;
  const OwnedSparse sparse = OwnedSparse::random(kSpins, 4, random);
  ASSERT_OK(validate(sparse.problem()));
  SolveOptions options;
  options.schedule.sweeps = 3;
  options.schedule.restarts = 3;
  const Answer expected = solve(*solver_of("cpu:scalar", kSpins), sparse.problem(), options);
  EXPECT_LT(expected.result.energy, 0);
  for (const cpu::Kernel* kernel : kernels_under_test()) {
    SCOPED_TRACE(kernel->name);
    expect_same(
        solve(*solver_of("cpu:" + std::string(kernel->name), kSpins), sparse.problem(), options),
        expected);
  }
}

TEST(Sparse, ASolverIsUsedAgain) {
  Random random(34);
  const auto solver = solver_of("cpu:", 300);
  for (const std::int32_t spins : {300, 7, 129, 64, 299}) {
    const OwnedSparse sparse = OwnedSparse::random(spins, 5, random);
    const SolveOptions options = random_options(40, random);
    expect_same(solve(*solver, sparse.problem(), options),
                solve(*solver_of("cpu:scalar", spins), sparse.problem(), options));
  }
}

TEST(Sparse, ADeadlineEndsSweepsAndRestarts) {
  Random random(35);
  const OwnedSparse sparse = OwnedSparse::random(2000, 10, random);
  for (const cpu::Kernel* kernel : kernels_under_test()) {
    SolveOptions options;
    options.schedule.sweeps = kMaxSweeps;
    options.schedule.restarts = kMaxRestarts;
    options.deadline_us = 3000;
    const Answer got =
        solve(*solver_of("cpu:" + std::string(kernel->name), 2000), sparse.problem(), options);
    EXPECT_LT(got.result.restarts, options.schedule.restarts);
    EXPECT_LT(got.result.energy, 0);
  }
}

std::vector<std::uint64_t> random_spins(std::int32_t spins, Random& random) {
  std::vector<std::uint64_t> out(static_cast<std::size_t>(words_per_head(spins)));
  for (std::uint64_t& word : out) word = random.next();
  if (spins % 64 != 0) out.back() &= (std::uint64_t{1} << (spins % 64)) - 1;
  return out;
}

TEST(Sparse, EveryKernelImprovesGivenSpinsAlike) {
  Random random(38);
  for (const std::int32_t spins : {1, 2, 63, 64, 65, 200, 700}) {
    const OwnedSparse sparse = OwnedSparse::random(spins, 4, random);
    SolveOptions options = random_options(80, random);
    const std::vector<std::uint64_t> from = random_spins(spins, random);
    options.from = from;
    const Answer expected = solve(*solver_of("cpu:scalar", spins), sparse.problem(), options);
    EXPECT_LE(expected.result.energy, energy_of(sparse.problem(), from));
    EXPECT_EQ(expected.result.restarts, options.schedule.restarts);
    EXPECT_EQ(expected.result.rounds, (options.schedule.restarts + 31) / 32);
    for (const cpu::Kernel* kernel : kernels_under_test()) {
      SCOPED_TRACE(std::string(kernel->name) + ", spins " + std::to_string(spins));
      expect_same(
          solve(*solver_of("cpu:" + std::string(kernel->name), spins), sparse.problem(), options),
          expected);
    }
    if (HasFailure()) return;
    // A job without spins to improve is the same before and after one that has them.
    const auto solver = solver_of("cpu:", spins);
    options.from = {};
    const Answer anew = solve(*solver, sparse.problem(), options);
    options.from = from;
    expect_same(solve(*solver, sparse.problem(), options), expected);
    options.from = {};
    expect_same(solve(*solver, sparse.problem(), options), anew);
  }
}

// Of a problem in parts that are not coupled, the best of all restarts is kept of each part.
TEST(Sparse, PatchesAreKeptOneByOne) {
  Random random(39);
  constexpr std::int32_t kPart = 20;
  constexpr std::int32_t kParts = 4;
  constexpr std::int32_t kSpins = kPart * kParts;
  for (int k = 0; k < 20; ++k) {
    const OwnedSparse part = OwnedSparse::random(kPart, 4, random);
    OwnedSparse whole = OwnedSparse::random(kSpins, 0, random);
    whole.neighbours.clear();
    for (std::int32_t i = 0; i < kSpins; ++i) {
      const std::int32_t first = i / kPart * kPart;
      const auto own = static_cast<std::size_t>(i % kPart);
      whole.fields[static_cast<std::size_t>(i)] = part.fields[own];
      whole.first[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(whole.neighbours.size());
      for (std::int64_t n = part.first[own]; n < part.first[own + 1]; ++n) {
        const Neighbour& one = part.neighbours[static_cast<std::size_t>(n)];
        whole.neighbours.push_back({first + one.spin, one.coupling});
      }
    }
    whole.first[kSpins] = static_cast<std::int64_t>(whole.neighbours.size());
    const SparseView problem = whole.problem();
    ASSERT_OK(validate(problem));

    std::vector<std::int16_t> fields(kSpins * cpu::kSparseLanes), selected(fields.size());
    std::vector<std::uint64_t> scratch(2), spins(2);
    const std::vector<std::uint64_t> from = random_spins(kSpins, random);
    cpu::SparseBest best(kSpins);
    best.load(problem, from.data());
    EXPECT_EQ(best.energy(), energy_of(problem, from));
    std::vector<std::uint16_t> temperatures(3, 20);
    cpu::AnnealJob job;
    job.problem.shape = {1, kSpins};
    job.temperatures = temperatures.data();
    job.sweeps = 3;
    job.seed = random.next();
    cpu::SparseChains chains;
    chains.count = 1 + k;
    chains.from = best.spins();
    chains.from_fields = best.fields();
    chains.fields = fields.data();
    chains.selected = selected.data();
    chains.scratch = scratch.data();
    chains.spins = spins.data();
    cpu::anneal_sparse_reference(job, problem, chains);

    const auto energy_of_part = [&](std::int32_t number, auto&& is_set) {
      std::uint64_t bits[1] = {};
      for (std::int32_t i = 0; i < kPart; ++i)
        bits[0] |= static_cast<std::uint64_t>(is_set(number * kPart + i)) << i;
      return energy_of(part.problem(), bits);
    };
    std::int64_t expected = 0;
    for (std::int32_t number = 0; number < kParts; ++number) {
      std::int64_t lowest = energy_of_part(number, [&](std::int32_t i) {
        return (from[static_cast<std::size_t>(i / 64)] >> (i % 64) & 1U) != 0;
      });
      for (std::int32_t lane = 0; lane < chains.count; ++lane) {
        lowest =
            std::min(lowest, energy_of_part(number, [&](std::int32_t i) {
                       return selected[static_cast<std::size_t>(i * cpu::kSparseLanes + lane)] != 0;
                     }));
      }
      expected += lowest;
    }
    best.take(problem, chains);
    // A part may differ in several patches, each of which is kept by itself.
    EXPECT_LE(best.energy(), expected);
    const std::span<const std::uint64_t> kept(best.spins(), 2);
    EXPECT_EQ(best.energy(), energy_of(problem, kept));
    cpu::SparseBest again(kSpins);
    again.load(problem, best.spins());
    for (std::int32_t i = 0; i < kSpins; ++i) EXPECT_EQ(best.fields()[i], again.fields()[i]);
  }
}

TEST(Sparse, RulesAreChecked) {
  Random random(36);
  const OwnedSparse good = OwnedSparse::random(100, 6, random);
  ASSERT_OK(validate(good.problem()));
  const auto refused = [&](auto&& break_it, std::string_view what) {
    OwnedSparse bad = good;
    break_it(bad);
    const Status status = validate(bad.problem());
    ASSERT_FALSE(status.ok()) << what;
    EXPECT_EQ(status.error().code, ErrorCode::problem_bad_value);
    EXPECT_THAT(status.error().message, HasSubstr(what));
  };
  std::size_t row = 0;  // one with two neighbours
  while (good.first[row + 1] - good.first[row] < 2) ++row;
  const auto at = static_cast<std::size_t>(good.first[row]);
  refused([&](OwnedSparse& p) { p.neighbours[at].spin = -1; }, "is no spin");
  refused([&](OwnedSparse& p) { p.neighbours[at].spin = 100; }, "is no spin");
  refused([&](OwnedSparse& p) { p.neighbours[at + 1].spin = p.neighbours[at].spin; },
          "not behind the one before");
  refused([&](OwnedSparse& p) { p.neighbours[at].spin = static_cast<std::int32_t>(row); }, "");
  refused([&](OwnedSparse& p) { ++p.neighbours[at].coupling; }, "not symmetric");
  refused([&](OwnedSparse& p) { p.fields[row] = 32767; }, "sum up to");
  refused([&](OwnedSparse& p) { p.fields[100] = 1; }, "padding");
  refused([&](OwnedSparse& p) { p.first[0] = 1; }, "expected 0 to");
  refused([&](OwnedSparse& p) { p.first[100] += 5; }, "expected 0 to");
  refused([&](OwnedSparse& p) { p.first[50] = p.first[100] + 1; }, "ends before");
  refused([&](OwnedSparse& p) { p.first[50] = -1; }, "ends before");
  OwnedSparse none = good;
  none.spins = 0;
  EXPECT_ERROR(problem_too_large, validate(none.problem()));
}

TEST(Sparse, Misuse) {
  Random random(37);
  const OwnedSparse sparse = OwnedSparse::random(100, 6, random);
  ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:"));
  EXPECT_ERROR(problem_too_large, device->compile({{1, 0}, Form::sparse}));
  EXPECT_ERROR(problem_too_large, device->compile({{1, kMaxTokens + 1}, Form::sparse}));
  ASSERT_OK_AND_ASSIGN(const auto solver, device->compile({{1, 99}, Form::sparse}));
  std::vector<std::uint64_t> spins(2);
  SolveResult result;
  EXPECT_ERROR(invalid_argument, solver->solve(sparse.problem(), {}, spins, result));
  ASSERT_OK_AND_ASSIGN(const auto larger, device->compile({{1, 100}, Form::sparse}));
  EXPECT_ERROR(invalid_argument,
               larger->solve(sparse.problem(), {}, std::span(spins).first(1), result));
  EXPECT_ERROR(invalid_argument, larger->solve(sparse.problem(), {{.restarts = 0}}, spins, result));
  EXPECT_ERROR(invalid_argument, larger->solve(sparse.problem(), {{.rounds = 1}}, spins, result));
  EXPECT_OK(larger->solve(sparse.problem(), {}, spins, result));
  SolveOptions from;
  from.from = std::span(spins).first(1);
  EXPECT_ERROR(invalid_argument, larger->solve(sparse.problem(), from, spins, result));
  const std::vector<std::uint64_t> given = spins;
  from.from = given;
  EXPECT_OK(larger->solve(sparse.problem(), from, spins, result));
  const OwnedProblem matrix = OwnedProblem::random({1, 100}, ProblemKind::dense, 0, random);
  ASSERT_OK_AND_ASSIGN(const auto dense, device->compile({1, 100}));
  EXPECT_ERROR(invalid_argument, dense->solve(matrix.problem(), from, spins, result));
  ASSERT_OK_AND_ASSIGN(const auto exact, open_device("exact:"));
  EXPECT_ERROR(unsupported, exact->compile({{1, 5}, Form::sparse}));
}

}  // namespace
}  // namespace qama::hal::test
