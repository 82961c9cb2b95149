// Fall-back: a device that does what a test tells it to, and the CPU behind it.
#include "hal/fallback.h"

#include <chrono>
#include <thread>

#include "tests/hal/cim/problems.h"
#include "tests/hal/cpu/hal_test_support.h"
#include "tests/patience.h"

namespace qama::hal {
namespace {

using qama::test::random_layer;

// What the first device does with the next jobs.
struct Script {
  enum class Do : std::uint8_t { solve, fail, lie, hang, refuse } action = Do::solve;
  std::int64_t takes_us = 0;
  int submitted = 0;
};

class ScriptedSolver final : public Solver {
 public:
  ScriptedSolver(Script& script, std::unique_ptr<Solver> real)
      : script_(script), real_(std::move(real)) {}
  Status submit(std::int32_t, const Problem& problem, const SolveOptions& options) override {
    ++script_.submitted;
    if (script_.action == Script::Do::refuse)
      return Error{ErrorCode::device_busy, "refused as told"};
    ready_ = std::chrono::steady_clock::now() + std::chrono::microseconds(script_.takes_us);
    cancelled_ = false;
    SolveOptions without = options;
    without.deadline_us = 0;
    return real_->submit(0, problem, without);
  }
  bool wait_ready(std::int32_t, std::int64_t timeout_us) override {
    if (script_.action == Script::Do::hang) {
      std::this_thread::sleep_for(std::chrono::microseconds(timeout_us));
      return false;
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(timeout_us);
    std::this_thread::sleep_until(std::min(ready_, until));
    return ready_ <= until;
  }
  Status wait(std::int32_t, std::span<std::uint64_t> spins, SolveResult& result) override {
    const auto waited = real_->wait(0, spins, result);
    if (cancelled_) return Error{ErrorCode::cancelled, "cancelled"};
    EXPECT_NE(script_.action, Script::Do::hang) << "nobody may wait for a device that hangs";
    if (script_.action == Script::Do::fail) return Error{ErrorCode::device_lost, "failed as told"};
    if (script_.action == Script::Do::lie) result.energy -= 1;
    result.solved_by = "scripted";
    return waited;
  }
  void cancel(std::int32_t) noexcept override { cancelled_ = true; }

 private:
  Script& script_;
  std::unique_ptr<Solver> real_;
  std::chrono::steady_clock::time_point ready_;
  bool cancelled_ = false;
};

class ScriptedDevice final : public Device {
 public:
  explicit ScriptedDevice(Script& script) : script_(script), cpu_(open_device("cpu:").value()) {
    info_.uri = "scripted:";
  }
  const DeviceInfo& info() const noexcept override { return info_; }
  Result<DeviceHealth> probe() override { return DeviceHealth{}; }
  Status supports(const Workload& workload) const override {
    if (workload.shape.spins() > 100)
      return Error{ErrorCode::problem_too_large, "too large as told"};
    return {};
  }
  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    QAMA_ASSIGN_OR_RETURN(auto real, cpu_->compile(workload));
    return std::unique_ptr<Solver>(std::make_unique<ScriptedSolver>(script_, std::move(real)));
  }

 private:
  Script& script_;
  std::shared_ptr<Device> cpu_;
  DeviceInfo info_;
};

class SchedulerTest : public ::testing::Test {
 protected:
  void make(FallbackPolicy policy, const ProblemShape& shape = {2, 20}) {
    options_.policy = policy;
    auto made = with_fallback(std::make_shared<ScriptedDevice>(script_),
                              open_device("cpu:").value(), options_);
    ASSERT_OK(made);
    device_ = made.value();
    auto solver = device_->compile(shape);
    ASSERT_OK(solver);
    solver_ = std::move(solver).value();
    layer_ = random_layer(shape.heads, shape.tokens, 1);
    spins_.assign(static_cast<std::size_t>(shape.heads) * words_per_head(shape.tokens), 0);
  }
  Status solve() { return solver_->solve(layer_.problem(), solve_options_, spins_, result_); }
  void expect_cpu(FallbackReason reason, ErrorCode error) {
    EXPECT_OK(solve());
    EXPECT_TRUE(std::string_view(result_.solved_by).starts_with("cpu:")) << result_.solved_by;
    EXPECT_EQ(fallback_reason_name(result_.fallback), fallback_reason_name(reason));
    EXPECT_EQ(error_name(result_.device_error), error_name(error));
    EXPECT_EQ(result_.energy, energy_of(layer_.problem(), spins_));
  }
  void expect_first() {
    EXPECT_OK(solve());
    EXPECT_STREQ(result_.solved_by, "scripted");
    EXPECT_EQ(result_.fallback, FallbackReason::none);
  }

  Script script_;
  FallbackOptions options_;
  SolveOptions solve_options_;
  std::shared_ptr<Device> device_;
  std::unique_ptr<Solver> solver_;
  ProblemBuffer layer_;
  std::vector<std::uint64_t> spins_;
  SolveResult result_;
};

TEST_F(SchedulerTest, TheFirstDeviceSolvesWhenItCan) {
  for (const auto policy : {FallbackPolicy::never, FallbackPolicy::error, FallbackPolicy::deadline,
                            FallbackPolicy::hedge}) {
    make(policy);
    expect_first();
    EXPECT_EQ(fallback_counts(*device_).solved_by_first, 1);
  }
}

TEST_F(SchedulerTest, NeverPassesErrorsOn) {
  make(FallbackPolicy::never);
  script_.action = Script::Do::fail;
  EXPECT_ERROR(device_lost, solve());
  script_.action = Script::Do::lie;
  EXPECT_ERROR(device_bad_answer, solve());
  script_.action = Script::Do::refuse;
  EXPECT_ERROR(device_busy, solve());
}

TEST_F(SchedulerTest, ErrorFallsBackAndSaysWhy) {
  make(FallbackPolicy::error);
  script_.action = Script::Do::fail;
  expect_cpu(FallbackReason::error, ErrorCode::device_lost);
  script_.action = Script::Do::lie;
  expect_cpu(FallbackReason::error, ErrorCode::device_bad_answer);
  script_.action = Script::Do::refuse;
  expect_cpu(FallbackReason::error, ErrorCode::device_busy);
  script_.action = Script::Do::solve;
  expect_first();
  const auto counts = fallback_counts(*device_);
  EXPECT_EQ(counts.solved_by_first, 1);
  EXPECT_EQ(counts.solved_by_second, 3);
  EXPECT_EQ(counts.reasons[static_cast<int>(FallbackReason::error)], 3);
}

TEST_F(SchedulerTest, AShapeThatOnlyTheSecondTakes) {
  make(FallbackPolicy::error, {4, 40});
  expect_cpu(FallbackReason::unsupported, ErrorCode::problem_too_large);
  EXPECT_EQ(script_.submitted, 0);
  options_.policy = FallbackPolicy::never;
  auto strict = with_fallback(std::make_shared<ScriptedDevice>(script_),
                              open_device("cpu:").value(), options_);
  EXPECT_ERROR(problem_too_large, strict.value()->compile({4, 40}));
}

TEST(FallbackOfForms, AFormThatOnlyTheSecondTakes) {
  ASSERT_OK_AND_ASSIGN(const auto exact, open_device("exact:"));
  ASSERT_OK_AND_ASSIGN(const auto cpu, open_device("cpu:"));
  const Workload workload({1, 50}, Form::sparse);
  ASSERT_OK_AND_ASSIGN(const auto device, with_fallback(exact, cpu, {}));
  ASSERT_OK_AND_ASSIGN(const auto solver, device->compile(workload));
  test::Random random(3);
  const auto rows = test::OwnedSparse::random(50, 4, random);
  std::vector<std::uint64_t> spins(1);
  SolveResult result;
  ASSERT_OK(solver->solve(rows.problem(), {}, spins, result));
  EXPECT_EQ(result.fallback, FallbackReason::unsupported);
  EXPECT_TRUE(std::string_view(result.solved_by).ends_with(" sparse")) << result.solved_by;
  EXPECT_EQ(result.energy, energy_of(rows.problem(), spins));
  FallbackOptions never;
  never.policy = FallbackPolicy::never;
  ASSERT_OK_AND_ASSIGN(const auto strict, with_fallback(exact, cpu, never));
  EXPECT_ERROR(unsupported, strict->compile(workload));
}

TEST_F(SchedulerTest, DeadlineGivesUpInTime) {
  make(FallbackPolicy::deadline);
  script_.action = Script::Do::hang;
  solve_options_.deadline_us = 20'000;
  const auto start = std::chrono::steady_clock::now();
  expect_cpu(FallbackReason::deadline, ErrorCode::deadline_exceeded);
  // Twice the time is for a machine that is busy with other things.
  EXPECT_LT(std::chrono::steady_clock::now() - start,
            std::chrono::milliseconds(40 * qama::test::kPatience));
}

TEST_F(SchedulerTest, HedgeTakesWhoIsFirst) {
  options_.hedge_after_us = 1000;
  make(FallbackPolicy::hedge);
  script_.action = Script::Do::hang;
  expect_cpu(FallbackReason::hedge_won, ErrorCode::ok);
  script_.action = Script::Do::solve;
  script_.takes_us = 100;
  expect_first();
}

TEST_F(SchedulerTest, TheCircuitOpensAndClosesAgain) {
  options_.failures_to_open = 3;
  options_.cool_down_us = 30'000;
  make(FallbackPolicy::error);
  script_.action = Script::Do::fail;
  for (int i = 0; i < 3; ++i) expect_cpu(FallbackReason::error, ErrorCode::device_lost);
  expect_cpu(FallbackReason::circuit_open, ErrorCode::device_unavailable);
  EXPECT_EQ(script_.submitted, 3);
  script_.action = Script::Do::solve;
  std::this_thread::sleep_for(std::chrono::milliseconds(40));
  expect_first();
  expect_first();
}

// One failure opens it; the others of the same batch fail as well, but they were on their way
// before that.
TEST_F(SchedulerTest, JobsInFlightDoNotLengthenThePause) {
  options_.failures_to_open = 1;
  options_.cool_down_us = 20'000;
  make(FallbackPolicy::error);
  std::vector<std::unique_ptr<Solver>> solvers;
  for (int i = 0; i < 8; ++i) {
    auto solver = device_->compile({2, 20});
    ASSERT_OK(solver);
    solvers.push_back(std::move(solver).value());
    ASSERT_OK(solvers.back()->submit(0, layer_.problem(), {}));
  }
  script_.action = Script::Do::fail;
  for (auto& solver : solvers) EXPECT_OK(solver->wait(0, spins_, result_));
  script_.action = Script::Do::solve;
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  expect_first();
}

TEST_F(SchedulerTest, RefusesNonsense) {
  EXPECT_ERROR(invalid_argument, with_fallback(nullptr, open_device("cpu:").value(), {}));
  EXPECT_ERROR(invalid_argument, parse_fallback_policy("sometimes"));
  for (const char* name : {"never", "error", "deadline", "hedge"}) {
    EXPECT_EQ(fallback_policy_name(parse_fallback_policy(name).value()), name);
  }
  make(FallbackPolicy::error);
  EXPECT_ERROR(invalid_argument, solver_->submit(7, layer_.problem(), {}));
  EXPECT_ERROR(invalid_argument, solver_->wait(0, spins_, result_));
}

}  // namespace
}  // namespace qama::hal
