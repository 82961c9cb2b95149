// Few-valued problems of one head, which kernels solve on bit planes (hal/cpu/planes/planes.h): the
// reference's spins whatever the values, sizes and signs; and which problems go that way.
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
using testing::Not;

constexpr const char* kMark = " planes";

/// Couplings drawn from `values`, fields that leave no row more than 32767.
OwnedProblem few_valued(std::int32_t tokens, const std::vector<std::int16_t>& values,
                        Random& random) {
  OwnedProblem out({1, tokens}, 0);
  const auto last = static_cast<std::int64_t>(values.size()) - 1;
  for (std::int32_t i = 0; i < tokens; ++i) {
    for (std::int32_t j = i + 1; j < tokens; ++j) {
      out.couple(0, i, j, values[static_cast<std::size_t>(random.between(0, last))]);
    }
  }
  for (std::int32_t i = 0; i < tokens; ++i) {
    std::int64_t left = INT16_MAX;
    for (std::int32_t j = 0; j < tokens; ++j) left -= std::abs(out.coupling(0, i, j));
    const std::int64_t most = random.between(0, 9) == 0 ? left : std::min<std::int64_t>(left, 200);
    out.field(0, i) = static_cast<std::int16_t>(random.between(-most, most));
  }
  return out;
}

Answer solve(Solver& solver, const DenseView& problem, const SolveOptions& options) {
  Answer out;
  out.spins.resize(static_cast<std::size_t>(words_per_head(problem.shape.tokens)));
  EXPECT_OK(solver.solve(problem, options, out.spins, out.result));
  return out;
}

std::unique_ptr<Solver> solver_of(const std::string& uri, std::int32_t tokens) {
  auto device = open_device(uri);
  EXPECT_OK(device);
  auto solver = (*device)->compile({1, tokens});
  EXPECT_OK(solver);
  return std::move(*solver);
}

TEST(Planes, EveryKernelEqualsTheReference) {
  Random random(8);
  for (const std::int32_t tokens : {65, 127, 128, 129, 200, 511, 512, 513, 576, 700}) {
    const auto most = static_cast<std::int16_t>(INT16_MAX / tokens);
    const auto least = static_cast<std::int16_t>(-most);
    const std::vector<std::vector<std::int16_t>> sets = {
        {-2, 2}, {0, -2}, {0, 1}, {-1, 0, 1}, {3}, {0}, {1, 2, 3}, {least, most}, {most, 0, least}};
    for (const auto& values : sets) {
      const OwnedProblem owned = few_valued(tokens, values, random);
      ASSERT_OK(validate(owned.problem()));
      SolveOptions options;
      options.seed = random.next();
      options.schedule.sweeps = static_cast<std::int32_t>(random.between(0, 12));
      options.schedule.restarts = static_cast<std::int32_t>(random.between(1, 7));
      options.schedule.t_start = static_cast<float>(0.3 + 3 * random.unit());
      options.schedule.t_end = static_cast<float>(0.01 + 0.2 * random.unit());
      const Answer expected = solve(*solver_of("cpu:scalar", tokens), owned.problem(), options);
      EXPECT_EQ(expected.result.energy, energy_of(owned.problem(), expected.spins));
      for (const cpu::Kernel* kernel : kernels_under_test()) {
        SCOPED_TRACE(describe_case(owned.problem(), kernel->name));
        const Answer got =
            solve(*solver_of("cpu:" + std::string(kernel->name), tokens), owned.problem(), options);
        expect_same(got, expected);
        if (kernel->pack_planes != nullptr) {
          EXPECT_THAT(got.result.solved_by, EndsWith(kMark));
        }
        if (HasFailure()) return;
      }
    }
  }
}

TEST(Planes, OtherProblemsGoTheUsualWay) {
  Random random(9);
  OwnedProblem owned = few_valued(130, {-1, 0, 1}, random);
  const auto solver = solver_of("cpu:", 130);
  EXPECT_THAT(solve(*solver, owned.problem(), {}).result.solved_by, EndsWith(kMark));
  // A fourth value in the last rows.
  owned.couple(0, 128, 129, 2);
  const Answer got = solve(*solver, owned.problem(), {});
  EXPECT_THAT(got.result.solved_by, Not(EndsWith(kMark)));
  expect_same(got, solve(*solver_of("cpu:scalar", 130), owned.problem(), {}));
  // One word: nothing to gain.
  const OwnedProblem small = few_valued(64, {-1, 1}, random);
  EXPECT_THAT(solve(*solver, small.problem(), {}).result.solved_by, Not(EndsWith(kMark)));
}

// One solver, problems of all sizes and kinds in turn: nothing is left from the one before.
TEST(Planes, ASolverIsUsedAgain) {
  Random random(10);
  const auto solver = solver_of("cpu:", 600);
  const auto scalar = solver_of("cpu:scalar", 600);
  for (const std::int32_t tokens : {600, 70, 513, 66, 599}) {
    for (const auto& values : {std::vector<std::int16_t>{-1, 1}, {-1, 0, 2}, {1, 2, 3, 4}}) {
      const OwnedProblem owned = few_valued(tokens, values, random);
      SolveOptions options;
      options.seed = random.next();
      options.schedule.restarts = 3;
      options.schedule.sweeps = 6;
      SCOPED_TRACE(describe_case(owned.problem(), "again"));
      expect_same(solve(*solver, owned.problem(), options),
                  solve(*scalar, owned.problem(), options));
    }
  }
}

}  // namespace
}  // namespace qama::hal::test
