// Problems as rows of neighbours (hal/cpu/sparse/sparse.h): the spins of the same problem as a
// matrix, on every kernel and for any number of restarts side by side; the rules of such a problem;
// misuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

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
  ASSERT_OK_AND_ASSIGN(const auto exact, open_device("exact:"));
  EXPECT_ERROR(unsupported, exact->compile({{1, 5}, Form::sparse}));
}

}  // namespace
}  // namespace qama::hal::test
