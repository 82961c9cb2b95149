// Devices through their public interface: answers against enumeration, determinism, deadlines, and
// errors of whoever uses them wrongly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "hal/device.h"
#include "hal/reopen.h"
#include "tests/hal/cpu/hal_test_support.h"
#include "tests/test_support.h"

namespace qama::hal::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

/// The URIs of all kernels that this machine runs, and the one without a name.
std::vector<std::string> cpu_uris() {
  std::vector<std::string> out = {"cpu:"};
  for (const cpu::Kernel* kernel : kernels_under_test())
    out.push_back("cpu:" + std::string(kernel->name));
  return out;
}

std::unique_ptr<Solver> solver_for(const std::string& uri, const ProblemShape& shape) {
  auto device = open_device(uri);
  EXPECT_OK(device);
  if (!device.ok()) return nullptr;
  auto solver = (*device)->compile(shape);
  EXPECT_OK(solver);
  return solver.ok() ? std::move(*solver) : nullptr;
}

struct Answer {
  std::vector<std::uint64_t> spins;
  SolveResult result;
};

Answer solve(Solver& solver, const DenseView& problem, const SolveOptions& options) {
  Answer out;
  out.spins.resize(
      static_cast<std::size_t>(problem.shape.heads * words_per_head(problem.shape.tokens)));
  EXPECT_OK(solver.solve(problem, options, out.spins, out.result));
  return out;
}

const ProblemShape kSmall[] = {{1, 1}, {1, 15}, {2, 7}, {3, 5}, {7, 2}, {15, 1}};

TEST(ExactDevice, FindsTheMinimum) {
  Random random(1);
  for (const ProblemShape& shape : kSmall) {
    for (const ProblemKind kind : kProblemKinds) {
      const OwnedProblem owned = OwnedProblem::random(shape, kind, 800, random);
      const auto solver = solver_for("exact:", shape);
      ASSERT_NE(solver, nullptr);
      const Answer answer = solve(*solver, owned.problem(), {});
      EXPECT_EQ(static_cast<double>(answer.result.energy), brute_force_minimum(owned.problem()))
          << describe_case(owned.problem(), "exact");
      EXPECT_EQ(answer.result.energy, energy_of(owned.problem(), answer.spins));
    }
  }
}

TEST(ExactDevice, RefusesWhatItCannotSearch) {
  ASSERT_OK_AND_ASSIGN(const auto device, open_device("exact:"));
  EXPECT_OK(device->supports({2, 12}));
  EXPECT_ERROR(problem_too_large, device->supports({5, 5}));
  EXPECT_ERROR(problem_too_large, device->compile({1, 25}));
  EXPECT_ERROR(problem_too_large, device->supports({0, 5}));
}

TEST(CpuDevice, FindsTheMinimumOfSmallProblems) {
  Random random(2);
  for (const ProblemShape& shape : kSmall) {
    for (const ProblemKind kind : kProblemKinds) {
      const OwnedProblem owned = OwnedProblem::random(shape, kind, 800, random);
      const double minimum = brute_force_minimum(owned.problem());
      for (const std::string& uri : cpu_uris()) {
        const auto solver = solver_for(uri, shape);
        ASSERT_NE(solver, nullptr);
        SolveOptions options;
        options.schedule.sweeps = 50;
        options.schedule.restarts = 40;
        const Answer answer = solve(*solver, owned.problem(), options);
        EXPECT_EQ(static_cast<double>(answer.result.energy), minimum)
            << describe_case(owned.problem(), uri);
        EXPECT_EQ(answer.result.energy, energy_of(owned.problem(), answer.spins));
      }
    }
  }
}

// No single flip may lower the energy of an answer, and neither may another set of heads for one
// token.
TEST(CpuDevice, AnswersAreLocalMinima) {
  Random random(3);
  const ProblemShape shape{5, 70};
  const auto solver = solver_for("cpu:", shape);
  ASSERT_NE(solver, nullptr);
  for (const ProblemKind kind : kProblemKinds) {
    const OwnedProblem owned = OwnedProblem::random(shape, kind, 300, random);
    for (const std::int32_t sweeps : {0, 3}) {
      SolveOptions options;
      options.schedule.sweeps = sweeps;
      Answer answer = solve(*solver, owned.problem(), options);
      const std::int64_t energy = answer.result.energy;
      const std::int32_t words = words_per_head(shape.tokens);
      for (std::int32_t i = 0; i < shape.tokens; ++i) {
        const std::vector<std::uint64_t> kept = answer.spins;
        for (std::uint32_t heads = 0; heads < (1U << shape.heads); ++heads) {
          for (std::int32_t t = 0; t < shape.heads; ++t) {
            auto& word = answer.spins[static_cast<std::size_t>(t * words + i / 64)];
            const std::uint64_t bit = std::uint64_t{1} << (i % 64);
            word = ((heads >> t) & 1U) != 0 ? word | bit : word & ~bit;
          }
          ASSERT_GE(energy_of(owned.problem(), answer.spins), energy)
              << "token " << i << ", heads " << heads << ", kind " << static_cast<int>(kind);
        }
        answer.spins = kept;
      }
    }
  }
}

TEST(CpuDevice, SameSeedSameSpins) {
  Random random(4);
  const ProblemShape shape{8, 49};
  const OwnedProblem owned = OwnedProblem::random(shape, ProblemKind::dense, 400, random);
  const OwnedProblem other = OwnedProblem::random(shape, ProblemKind::dense, 400, random);
  const auto first = solver_for("cpu:", shape);
  const auto second = solver_for("cpu:", {8, 200});  // compiled for more
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  bool seeds_differ = false;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SolveOptions options;
    options.seed = seed;
    options.schedule.sweeps = 2;
    const Answer once = solve(*first, owned.problem(), options);
    (void)solve(*first, other.problem(), options);  // must leave nothing behind
    const Answer again = solve(*first, owned.problem(), options);
    EXPECT_EQ(once.spins, again.spins);
    EXPECT_EQ(once.spins, solve(*second, owned.problem(), options).spins);
    options.seed = seed + 1000;
    seeds_differ = seeds_differ || solve(*first, owned.problem(), options).spins != once.spins;
  }
  EXPECT_TRUE(seeds_differ);
}

TEST(CpuDevice, MoreRestartsAreNeverWorse) {
  Random random(5);
  const ProblemShape shape{8, 64};
  const auto solver = solver_for("cpu:", shape);
  ASSERT_NE(solver, nullptr);
  const OwnedProblem owned = OwnedProblem::random(shape, ProblemKind::dense, 400, random);
  SolveOptions options;
  options.schedule.sweeps = 3;
  std::int64_t last = INT64_MAX;
  for (options.schedule.restarts = 1; options.schedule.restarts <= 30;
       ++options.schedule.restarts) {
    const Answer answer = solve(*solver, owned.problem(), options);
    EXPECT_LE(answer.result.energy, last) << options.schedule.restarts;
    EXPECT_EQ(answer.result.sweeps, options.schedule.restarts * options.schedule.sweeps);
    EXPECT_GE(answer.result.proposals,
              shape.spins() * options.schedule.sweeps * options.schedule.restarts);
    last = answer.result.energy;
  }
}

TEST(CpuDevice, MoreRoundsAreNeverWorse) {
  Random random(8);
  for (const ProblemShape shape : {ProblemShape{8, 49}, {1, 130}, {3, 64}}) {
    const auto solver = solver_for("cpu:", shape);
    ASSERT_NE(solver, nullptr);
    const OwnedProblem owned = OwnedProblem::random(shape, ProblemKind::dense, 400, random);
    for (const std::int32_t restarts : {2, 8}) {  // from 8 rounds recombine heads
      SolveOptions options;
      options.schedule.sweeps = 1;
      options.schedule.restarts = restarts;
      options.schedule.round_sweeps = 2;
      std::int64_t last = INT64_MAX;
      for (options.schedule.rounds = 0; options.schedule.rounds <= 12; ++options.schedule.rounds) {
        const Answer answer = solve(*solver, owned.problem(), options);
        EXPECT_LE(answer.result.energy, last) << options.schedule.rounds;
        EXPECT_EQ(answer.result.energy, energy_of(owned.problem(), answer.spins));
        EXPECT_EQ(answer.result.restarts, restarts);
        EXPECT_EQ(answer.result.rounds, options.schedule.rounds);
        const std::int32_t plain = restarts + 8 * options.schedule.rounds;
        if (restarts < 8 || shape.heads == 1 || options.schedule.rounds == 0) {
          EXPECT_EQ(answer.result.sweeps, plain);
        } else {
          EXPECT_GE(answer.result.sweeps, plain);  // CountsAllSweeps says which more
        }
        last = answer.result.energy;
      }
    }
  }
}

// Those of recombined heads too: up to eight groups of four chains of two sweeps, before each round
// and after the last, as many as there are combinations, which depends on the layer.
TEST(CpuDevice, CountsAllSweeps) {
  Random random(10);
  for (const ProblemShape shape : {ProblemShape{8, 49}, {3, 64}, {1, 64}, {8, 65}}) {
    const auto solver = solver_for("cpu:", shape);
    ASSERT_NE(solver, nullptr);
    std::int32_t recombined = 0;
    for (const ProblemKind kind : kProblemKinds) {
      const OwnedProblem owned = OwnedProblem::random(shape, kind, 400, random);
      for (const std::int32_t restarts : {2, 8}) {
        for (const std::int32_t rounds : {0, 1, 5}) {
          SolveOptions options;
          options.schedule.sweeps = 1;
          options.schedule.restarts = restarts;
          options.schedule.rounds = rounds;
          options.schedule.round_sweeps = 2;
          const SolveResult result = solve(*solver, owned.problem(), options).result;
          const std::int32_t more = result.sweeps - (restarts + 8 * rounds);
          const bool may_recombine =
              restarts == 8 && rounds > 0 && shape.heads > 1 && shape.tokens <= 64;
          EXPECT_EQ(more % 8, 0);
          EXPECT_GE(more, 0);
          EXPECT_LE(more, may_recombine ? 8 * 8 * (rounds + 1) : 0);
          EXPECT_GE(result.proposals, static_cast<std::int64_t>(shape.spins()) * result.sweeps);
          recombined += more / 8;
        }
      }
    }
    EXPECT_EQ(recombined > 0, shape.heads > 1 && shape.tokens <= 64);
  }
}

TEST(CpuDevice, FewerTokensThanCompiledFor) {
  Random random(6);
  const auto large = solver_for("cpu:", {4, 300});
  ASSERT_NE(large, nullptr);
  for (const std::int32_t tokens : {1, 63, 64, 65, 299, 300}) {
    const OwnedProblem owned = OwnedProblem::random({4, tokens}, ProblemKind::dense, 400, random);
    const auto exact_size = solver_for("cpu:", {4, tokens});
    ASSERT_NE(exact_size, nullptr);
    EXPECT_EQ(solve(*large, owned.problem(), {}).spins,
              solve(*exact_size, owned.problem(), {}).spins);
  }
}

TEST(CpuDevice, ADeadlineStopsRestarts) {
  Random random(7);
  const ProblemShape shape{8, 64};
  const auto solver = solver_for("cpu:", shape);
  ASSERT_NE(solver, nullptr);
  const OwnedProblem owned = OwnedProblem::random(shape, ProblemKind::dense, 400, random);
  SolveOptions options;
  options.schedule.sweeps = 50;
  options.schedule.restarts = kMaxRestarts;
  options.deadline_us = 20000;
  const auto start = std::chrono::steady_clock::now();
  const Answer answer = solve(*solver, owned.problem(), options);
  const auto spent = std::chrono::steady_clock::now() - start;
  EXPECT_GE(answer.result.restarts, 1);
  EXPECT_LT(answer.result.restarts, options.schedule.restarts);
  EXPECT_EQ(answer.result.energy, energy_of(owned.problem(), answer.spins));
  // Coarse: the machine may be busy with something else. Without a deadline this takes many
  // seconds.
  EXPECT_LT(spent, std::chrono::milliseconds(1000));
  // A deadline that cannot be kept still gets an answer.
  options.deadline_us = 1;
  EXPECT_GE(solve(*solver, owned.problem(), options).result.restarts, 1);
}

// One group of restarts, and rounds, that would take minutes: the sweeps themselves must end.
TEST(CpuDevice, ADeadlineEndsSweeps) {
  Random random(9);
  const ProblemShape shape{8, 64};
  const OwnedProblem owned = OwnedProblem::random(shape, ProblemKind::dense, 400, random);
  for (const char* device : {"cpu:", "cpu:scalar"}) {
    const auto solver = solver_for(device, shape);
    ASSERT_NE(solver, nullptr);
    for (const bool in_rounds : {false, true}) {
      SolveOptions options;
      // More than any machine does in a second, but temperatures that an emulated one computes in
      // time.
      options.schedule.sweeps = in_rounds ? 1 : 1 << 17;
      options.schedule.restarts = in_rounds ? 4 : 256;
      options.schedule.rounds = in_rounds ? kMaxRestarts : 0;
      options.schedule.round_sweeps = 1 << 17;
      options.deadline_us = 20000;
      const auto start = std::chrono::steady_clock::now();
      const Answer answer = solve(*solver, owned.problem(), options);
      EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1000))
          << device;
      EXPECT_EQ(answer.result.energy, energy_of(owned.problem(), answer.spins));
    }
  }
}

TEST(CpuDevice, SaysWhoSolved) {
  for (const cpu::Kernel* kernel : kernels_under_test()) {
    const std::string uri = "cpu:" + std::string(kernel->name);
    ASSERT_OK_AND_ASSIGN(const auto device, open_device(uri));
    EXPECT_EQ(device->info().uri, uri);
    ASSERT_OK_AND_ASSIGN(const DeviceHealth health, device->probe());
    EXPECT_EQ(health.state, DeviceState::available);
    Random random(8);
    const OwnedProblem owned = OwnedProblem::random({2, 10}, ProblemKind::dense, 5, random);
    const auto solver = solver_for(uri, {2, 10});
    EXPECT_EQ(std::string(solve(*solver, owned.problem(), {}).result.solved_by), uri + "");
  }
}

TEST(OpenDevice, NamesWhatIsKnown) {
  const auto error = [](std::string_view uri) { return qama::test::describe(open_device(uri)); };
  EXPECT_THAT(error("gpu:"), AllOf(StartsWith("DEVICE_UNKNOWN: device 'gpu:'"), HasSubstr("cpu:"),
                                   HasSubstr("exact:")));
  EXPECT_THAT(error(""), StartsWith("DEVICE_UNKNOWN"));
  EXPECT_THAT(error("cpu"), StartsWith("DEVICE_UNKNOWN"));
  EXPECT_THAT(error("cpu:abacus"), AllOf(StartsWith("DEVICE_UNKNOWN"), HasSubstr("scalar")));
  EXPECT_THAT(error("exact:yes"), StartsWith("DEVICE_UNKNOWN"));
  EXPECT_LT(error(std::string(100000, 'x')).size(), 400U);
}

// What a model without a device says of one: the same as a model that needs it, and no machine is
// asked.
TEST(OpenDevice, AnAddressThatIsNoneIsAnErrorAlsoWhereNobodyNeedsIt) {
  for (const char* uri : {"gpu:", "", "cpu", "cpu:abacus", "exact:yes", "published:1", "\xff"})
    EXPECT_EQ(qama::test::describe(check_unused_device(uri)),
              qama::test::describe(open_device(uri)))
        << uri;
  qama::test::TempDir dir;
  const std::string folder = dir.file("machine");
  for (const std::string& uri : std::vector<std::string>{
           "cpu:", "cpu:scalar", "exact:", "published:", "cim://127.0.0.1:1", "csv:" + folder})
    EXPECT_OK(check_unused_device(uri));
  EXPECT_FALSE(std::filesystem::exists(folder));
  // A name cut in the middle of a letter is no UTF-8 any more.
  EXPECT_THAT(qama::test::describe(open_device(std::string(63, 'x') + "\xC3\xA4:")),
              HasSubstr("x\\xc3'"));
}

TEST(OpenDevice, ListsEveryKernelAndOneDefault) {
  int defaults = 0;
  for (const cpu::Kernel& kernel : cpu::kernels()) {
    const std::string uri = "cpu:" + std::string(kernel.name);
    bool listed = false;
    for (const DeviceListing& line : list_devices()) {
      if (line.uri != uri) continue;
      listed = true;
      EXPECT_EQ(line.usable, kernel.supported()) << uri;
      EXPECT_EQ(open_device(uri).ok(), line.usable) << uri;
      EXPECT_FALSE(line.reason.empty()) << uri;
      if (line.reason.starts_with("default")) ++defaults;
    }
    EXPECT_TRUE(listed) << uri;
  }
  EXPECT_EQ(defaults, 1);
}

class SolverMisuse : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    solver_ = solver_for(GetParam(), {2, 8});
    ASSERT_NE(solver_, nullptr);
  }
  Random random_{9};
  OwnedProblem good_ = OwnedProblem::random({2, 8}, ProblemKind::dense, 50, random_);
  std::vector<std::uint64_t> spins_ = std::vector<std::uint64_t>(2);
  SolveResult result_;
  std::unique_ptr<Solver> solver_;
};

TEST_P(SolverMisuse, WrongSlot) {
  EXPECT_ERROR(invalid_argument, solver_->submit(solver_->max_in_flight(), good_.problem(), {}));
  EXPECT_ERROR(invalid_argument, solver_->submit(-1, good_.problem(), {}));
  EXPECT_ERROR(invalid_argument, solver_->wait(0, spins_, result_));
  EXPECT_ERROR(invalid_argument, solver_->wait(-1, spins_, result_));
  ASSERT_OK(solver_->submit(0, good_.problem(), {}));
  EXPECT_OK(solver_->wait(0, spins_, result_));
  EXPECT_ERROR(invalid_argument, solver_->wait(0, spins_, result_));
}

TEST_P(SolverMisuse, TooLittleRoomForSpins) {
  ASSERT_OK(solver_->submit(0, good_.problem(), {}));
  EXPECT_ERROR(invalid_argument, solver_->wait(0, std::span(spins_).first(1), result_));
  // The slot is free again.
  EXPECT_OK(solver_->solve(good_.problem(), {}, spins_, result_));
}

INSTANTIATE_TEST_SUITE_P(Devices, SolverMisuse,
                         testing::Values("cpu:", "cpu:scalar", "exact:", "published:"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase(name, ':');
                           return name;
                         });

class CpuSolverMisuse : public SolverMisuse {};

TEST_P(CpuSolverMisuse, WrongShape) {
  for (const ProblemShape& shape : {ProblemShape{1, 8}, {3, 8}, {2, 9}}) {
    const OwnedProblem other = OwnedProblem::random(shape, ProblemKind::dense, 50, random_);
    EXPECT_ERROR(invalid_argument, solver_->submit(0, other.problem(), {}));
  }
  DenseView empty = good_.problem();
  empty.shape.tokens = 0;
  EXPECT_ERROR(invalid_argument, solver_->submit(0, empty, {}));
  EXPECT_OK(solver_->solve(good_.problem(), {}, spins_, result_));
}

TEST_P(CpuSolverMisuse, WrongForm) {
  const OwnedSparse rows(OwnedProblem::random({1, 8}, ProblemKind::dense, 0, random_).problem());
  EXPECT_ERROR(invalid_argument, solver_->submit(0, rows.problem(), {}));
  FactorsView factors;
  factors.shape = {2, 8};
  EXPECT_ERROR(invalid_argument, solver_->submit(0, factors, {}));
  EXPECT_OK(solver_->solve(good_.problem(), {}, spins_, result_));
}

TEST_P(CpuSolverMisuse, OptionsOutOfRange) {
  const auto refused = [&](auto change) {
    SolveOptions options;
    change(options);
    EXPECT_ERROR(invalid_argument, solver_->submit(0, good_.problem(), options));
  };
  refused([](SolveOptions& o) { o.schedule.sweeps = -1; });
  refused([](SolveOptions& o) { o.schedule.sweeps = INT32_MAX; });
  refused([](SolveOptions& o) { o.schedule.restarts = 0; });
  refused([](SolveOptions& o) { o.schedule.restarts = INT32_MAX; });
  refused([](SolveOptions& o) { o.schedule.rounds = -1; });
  refused([](SolveOptions& o) { o.schedule.rounds = INT32_MAX; });
  refused([](SolveOptions& o) { o.schedule.round_sweeps = -1; });
  refused([](SolveOptions& o) { o.schedule.t_round = 0; });
  refused([](SolveOptions& o) { o.schedule.t_start = 0; });
  refused([](SolveOptions& o) { o.schedule.t_end = -1; });
  refused([](SolveOptions& o) { o.schedule.t_start = std::numeric_limits<float>::quiet_NaN(); });
  refused([](SolveOptions& o) { o.schedule.t_end = std::numeric_limits<float>::infinity(); });
  EXPECT_OK(solver_->solve(good_.problem(), {}, spins_, result_));
}

INSTANTIATE_TEST_SUITE_P(Devices, CpuSolverMisuse, testing::Values("cpu:", "cpu:scalar"),
                         [](const auto& test) { return test.param == "cpu:" ? "cpu" : "scalar"; });

TEST(CpuDevice, CompilesOnlyShapesInBounds) {
  ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:"));
  for (const ProblemShape& shape :
       {ProblemShape{0, 1}, {1, 0}, {kMaxHeads + 1, 1}, {1, kMaxTokens + 1}, {-1, -1}}) {
    EXPECT_ERROR(problem_too_large, device->compile(shape));
    EXPECT_ERROR(problem_too_large, device->supports(shape));
  }
  EXPECT_OK(device->compile({kMaxHeads, 2}));
}

}  // namespace
}  // namespace qama::hal::test
