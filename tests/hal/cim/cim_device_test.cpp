// The driver against the emulator, two processes and a real socket between them.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "hal/cim/cim_device.h"
#include "hal/device.h"
#include "hal/emulator/fault.h"
#include "hal/fallback.h"
#include "hal/reopen.h"
#include "tests/hal/cim/emulator_process.h"
#include "tests/hal/cim/loopback.h"
#include "tests/hal/cim/lying_machine.h"
#include "tests/hal/cim/problems.h"
#include "tests/patience.h"

namespace qama::hal::cim {
namespace {

using emulator::FaultKind;
using test::EmulatorProcess;
using test::random_layer;

std::size_t words_of(const ProblemShape& shape) {
  return static_cast<std::size_t>(shape.heads) * words_per_head(shape.tokens);
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

std::shared_ptr<Device> open_or_fail(const std::string& uri) {
  auto device = open_device(uri);
  EXPECT_OK(device);
  return device.ok() ? device.value() : nullptr;
}

// The CPU's answer, for comparison.
std::int64_t good_energy(const DenseView& problem) {
  auto cpu = open_device("cpu:");
  auto solver = cpu.value()->compile(problem.shape);
  SolveOptions options;
  options.schedule.sweeps = 60;
  options.schedule.restarts = 16;
  std::vector<std::uint64_t> spins(words_of(problem.shape));
  SolveResult result;
  EXPECT_OK(solver.value()->solve(problem, options, spins, result));
  return result.energy;
}

TEST(Link, SolvesAndSaysWhatItIs) {
  EmulatorProcess emulator;
  const auto device = open_or_fail(emulator.uri());
  ASSERT_NE(device, nullptr);
  EXPECT_TRUE(device->info().is_emulated);
  EXPECT_EQ(device->info().max_spins, 550);
  EXPECT_EQ(device->info().coupling_bits, 8);
  auto health = device->probe();
  ASSERT_OK(health);
  EXPECT_EQ(health.value().state, DeviceState::available);
  EXPECT_GT(health.value().round_trip_us, 0);
  for (const auto& [heads, tokens] : {std::pair{8, 49}, {1, 130}, {8, 64}, {1, 1}}) {
    const ProblemShape shape{heads, tokens};
    auto solver = device->compile(shape);
    ASSERT_OK(solver);
    const auto layer = random_layer(heads, tokens, 3);
    std::vector<std::uint64_t> spins(words_of(shape));
    SolveResult result;
    SolveOptions options;
    options.schedule.restarts = 4;
    ASSERT_OK(solver.value()->solve(layer.problem(), options, spins, result));
    EXPECT_EQ(result.energy, energy_of(layer.problem(), spins));
    EXPECT_STREQ(result.solved_by, "cim:emulated");
    EXPECT_EQ(result.restarts, 4);
    EXPECT_TRUE(result.timing.modelled);
    EXPECT_NEAR(result.timing.anneal_us, 4 * 162, 1e-6);
    EXPECT_GT(result.timing.program_us, 0);
    EXPECT_GT(result.timing.total_us, 0);
    const std::int64_t best = good_energy(layer.problem());
    EXPECT_LE(static_cast<double>(result.energy), 0.98 * static_cast<double>(best))
        << heads << " x " << tokens;
  }
}

TEST(Link, ThePresetDecidesOnTheTimeAndIsNamed) {
  EmulatorProcess emulator({"--preset", "published"});
  auto device = open_device(emulator.uri()).value();
  EXPECT_EQ(device->info().name, "emulated CPQC-550, preset published");
  const ProblemShape shape{2, 10};
  auto solver = device->compile(shape);
  ASSERT_OK(solver);
  const auto layer = random_layer(2, 10, 3);
  std::vector<std::uint64_t> spins(words_of(shape));
  SolveResult result;
  SolveOptions options;
  options.schedule.restarts = 4;
  ASSERT_OK(solver.value()->solve(layer.problem(), options, spins, result));
  EXPECT_NEAR(result.timing.anneal_us, 4 * 15, 1e-6);
}

TEST(Link, SameSeedSameAnswerAndFewerTokensThanCompiled) {
  EmulatorProcess emulator;
  const auto device = open_or_fail(emulator.uri());
  ASSERT_NE(device, nullptr);
  auto solver = device->compile({2, 40});
  ASSERT_OK(solver);
  for (const std::int32_t tokens : {40, 17, 1}) {
    const auto layer = random_layer(2, tokens, 5);
    std::vector<std::uint64_t> first(2);
    std::vector<std::uint64_t> second(2);
    SolveResult result;
    ASSERT_OK(solver.value()->solve(layer.problem(), {}, first, result));
    ASSERT_OK(solver.value()->solve(layer.problem(), {}, second, result));
    EXPECT_EQ(first, second);
  }
}

TEST(Link, DenseFormGivesTheSameQuality) {
  EmulatorProcess emulator;
  const auto device = open_or_fail(emulator.uri("?encoding=dense&reads=4&timeout_ms=60000"));
  ASSERT_NE(device, nullptr);
  const auto layer = random_layer(8, 49, 3);
  auto solver = device->compile({8, 49});
  ASSERT_OK(solver);
  std::vector<std::uint64_t> spins(8);
  SolveResult result;
  ASSERT_OK(solver.value()->solve(layer.problem(), {}, spins, result));
  EXPECT_LE(static_cast<double>(result.energy),
            0.98 * static_cast<double>(good_energy(layer.problem())));
}

TEST(Link, KeepsSeveralJobsInFlight) {
  EmulatorProcess emulator;
  const auto device = open_or_fail(emulator.uri());
  ASSERT_NE(device, nullptr);
  auto solver = device->compile({8, 49});
  ASSERT_OK(solver);
  const std::int32_t slots = solver.value()->max_in_flight();
  EXPECT_GE(slots, 3);
  std::vector<ProblemBuffer> layers;
  for (std::int32_t i = 0; i < slots; ++i)
    layers.push_back(random_layer(8, 49, 100 + static_cast<std::uint64_t>(i)));
  for (int round = 0; round < 3; ++round) {
    for (std::int32_t i = 0; i < slots; ++i) {
      ASSERT_OK(solver.value()->submit(i, layers[static_cast<std::size_t>(i)].problem(), {}));
    }
    EXPECT_ERROR(invalid_argument, solver.value()->submit(0, layers[0].problem(), {}));
    for (std::int32_t i = slots; i-- > 0;) {
      std::vector<std::uint64_t> spins(8);
      SolveResult result;
      ASSERT_OK(solver.value()->wait(i, spins, result));
      EXPECT_EQ(result.energy, energy_of(layers[static_cast<std::size_t>(i)].problem(), spins));
    }
  }
}

TEST(Link, RefusesWhatTheMachineCannotHold) {
  EmulatorProcess emulator;
  const auto device = open_or_fail(emulator.uri());
  ASSERT_NE(device, nullptr);
  EXPECT_OK(device->supports({1, 549}));
  EXPECT_ERROR(problem_too_large, device->supports({1, 551}));
  EXPECT_ERROR(problem_too_large, device->compile({11, 50}));
  auto solver = device->compile({2, 20});
  ASSERT_OK(solver);
  EXPECT_ERROR(invalid_argument, solver.value()->submit(0, random_layer(3, 20, 1).problem(), {}));
  EXPECT_ERROR(problem_too_large, solver.value()->submit(0, random_layer(2, 21, 1).problem(), {}));
}

// Its jobs waited for credit that never came, and then had no answer "within the job's time".
TEST(Link, AJobOfMoreBytesThanTheMachineTakesIsRefusedAtOnce) {
  const auto bytes = static_cast<std::uint32_t>(submit_bytes({2, 5}, 1, Encoding::block_i8));
  for (const auto& [frame, credit] : {std::pair(bytes - 1, bytes), std::pair(bytes, bytes - 1)}) {
    test::LyingMachine machine(LinkStatus::internal, frame, credit);
    ASSERT_OK_AND_ASSIGN(auto device, open_device("cim://" + machine.host()));
    EXPECT_EQ(test::describe(device->compile({2, 5})),
              "PROBLEM_TOO_LARGE: a layer of 2 x 5 spins is a job of " + std::to_string(bytes) +
                  " bytes, device 'cim://" + machine.host() + "' takes at most " +
                  std::to_string(bytes - 1));
    EXPECT_OK(device->compile({2, 4}));
  }
  // In the dense form ancillas count, and how many there are shows with the problem.
  const auto one = static_cast<std::uint32_t>(submit_bytes({1, 40}, 1, Encoding::dense_i8));
  test::LyingMachine machine(LinkStatus::internal, one, one);
  ASSERT_OK_AND_ASSIGN(auto device, open_device("cim://" + machine.host() + "?encoding=dense"));
  ASSERT_OK_AND_ASSIGN(auto solver, device->compile({1, 40}));
  const ProblemBuffer layer = random_layer(1, 40, 1);
  std::vector<std::uint64_t> spins(1);
  SolveResult result;
  const auto start = std::chrono::steady_clock::now();
  const Status done = solver->solve(layer.problem(), {}, spins, result);
  EXPECT_ERROR(problem_too_large, done);
  EXPECT_LT(milliseconds_since(start), 500 * test::kPatience);
  EXPECT_EQ(machine.jobs(), 0);
}

// CANCELLED of a machine ended the whole run: the fall-back took it for the caller's wish.
TEST(Link, AMachineThatCancelsByItselfFails) {
  test::LyingMachine machine(LinkStatus::cancelled);
  ASSERT_OK_AND_ASSIGN(auto device, open_device("cim://" + machine.host()));
  const ProblemBuffer layer = random_layer(1, 20, 1);
  std::vector<std::uint64_t> spins(1);
  SolveResult result;
  {
    ASSERT_OK_AND_ASSIGN(auto solver, device->compile({1, 20}));
    EXPECT_ERROR(device_task_failed, solver->solve(layer.problem(), {}, spins, result));
    EXPECT_EQ(machine.jobs(), 1);
  }
  FallbackOptions policy;
  policy.policy = FallbackPolicy::error;
  ASSERT_OK_AND_ASSIGN(auto both, with_fallback(device, open_or_fail("cpu:"), policy));
  ASSERT_OK_AND_ASSIGN(auto solver, both->compile({1, 20}));
  ASSERT_OK(solver->solve(layer.problem(), {}, spins, result));
  EXPECT_EQ(result.energy, energy_of(layer.problem(), spins));
}

TEST(Link, CancelEndsAWaitAtOnce) {
  EmulatorProcess emulator;
  const auto device = open_or_fail(emulator.uri("?reads=100&timeout_ms=60000"));
  ASSERT_NE(device, nullptr);
  auto solver = device->compile({8, 64});
  ASSERT_OK(solver);
  const auto layer = random_layer(8, 64, 1);
  std::vector<std::uint64_t> spins(8);
  SolveResult result;
  for (int i = 0; i < 3; ++i) ASSERT_OK(solver.value()->submit(i, layer.problem(), {}));
  const auto start = std::chrono::steady_clock::now();
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (int i = 0; i < 3; ++i) solver.value()->cancel(i);
  });
  for (int i = 0; i < 3; ++i) EXPECT_ERROR(cancelled, solver.value()->wait(i, spins, result));
  canceller.join();
  EXPECT_LT(milliseconds_since(start), 2000);
  // And the solver goes on.
  auto second = open_or_fail(emulator.uri());
  auto next = second->compile({8, 49});
  ASSERT_OK(next);
  EXPECT_OK(next.value()->solve(random_layer(8, 49, 1).problem(), {}, spins, result));
}

TEST(Link, KeepsADeadline) {
  EmulatorProcess emulator;
  const auto device = open_or_fail(emulator.uri("?reads=100"));
  ASSERT_NE(device, nullptr);
  auto solver = device->compile({8, 64});
  ASSERT_OK(solver);
  const auto layer = random_layer(8, 64, 1);
  std::vector<std::uint64_t> spins(8);
  SolveResult result;
  SolveOptions options;
  options.deadline_us = 4000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; ++i) ASSERT_OK(solver.value()->submit(i, layer.problem(), options));
  int late = 0;
  for (int i = 0; i < 5; ++i) {
    auto waited = solver.value()->wait(i, spins, result);
    if (!waited.ok()) {
      EXPECT_ERROR(deadline_exceeded, waited);
      ++late;
    }
  }
  EXPECT_GT(late, 0);
  EXPECT_LT(milliseconds_since(start), 1000);
}

TEST(Link, AnAnswerCountsAlsoWhereNobodyLookedInTime) {
  EmulatorProcess emulator;
  const auto device = open_or_fail(emulator.uri("?timeout_ms=500"));
  ASSERT_NE(device, nullptr);
  auto solver = device->compile({4, 20});
  ASSERT_OK(solver);
  const auto layer = random_layer(4, 20, 1);
  std::vector<std::uint64_t> spins(4);
  SolveResult result;
  ASSERT_OK(solver.value()->solve(layer.problem(), {}, spins, result));  // connects
  ASSERT_OK(solver.value()->submit(0, layer.problem(), {}));
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  ASSERT_OK(solver.value()->wait(0, spins, result));
  EXPECT_EQ(result.energy, energy_of(layer.problem(), spins));
}

TEST(Link, SurvivesTheDeathOfTheMachine) {
  EmulatorProcess emulator;
  const auto device = open_or_fail(emulator.uri());
  ASSERT_NE(device, nullptr);
  auto solver = device->compile({8, 49});
  ASSERT_OK(solver);
  const auto layer = random_layer(8, 49, 1);
  std::vector<std::uint64_t> spins(8);
  SolveResult result;
  ASSERT_OK(solver.value()->solve(layer.problem(), {}, spins, result));
  emulator.kill_now();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(solver.value()->solve(layer.problem(), {}, spins, result).ok());
  EXPECT_LT(milliseconds_since(start), 3000);
  auto health = device->probe();
  ASSERT_OK(health);
  EXPECT_EQ(health.value().state, DeviceState::unreachable);
  emulator.restart();
  bool back = false;
  for (int i = 0; i < 100 && !back; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    back = solver.value()->solve(layer.problem(), {}, spins, result).ok();
  }
  EXPECT_TRUE(back);
}

// Every fault alone, on every job at first and then never: the driver recovers or fails by its
// deadline, and no wrong answer gets through.
TEST(Link, EveryFaultAlone) {
  EmulatorProcess emulator({"--allow-faults"});
  const auto device = open_or_fail(emulator.uri());
  ASSERT_NE(device, nullptr);
  auto solver = device->compile({4, 20});
  ASSERT_OK(solver);
  const auto layer = random_layer(4, 20, 1);
  std::vector<std::uint64_t> spins(4);
  SolveResult result;
  for (std::size_t kind = 0; kind < emulator::kLinkFaultKinds; ++kind) {
    ASSERT_OK(inject_fault(*device, static_cast<int>(kind), 300'000, 0));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    SolveOptions options;
    options.deadline_us = 150'000;
    int good = 0;
    for (int i = 0; i < 20; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const auto solved = solver.value()->solve(layer.problem(), options, spins, result);
      EXPECT_LT(milliseconds_since(start), 1500) << emulator::kFaultNames[kind];
      if (solved.ok()) {
        ++good;
        EXPECT_EQ(result.energy, energy_of(layer.problem(), spins)) << emulator::kFaultNames[kind];
      }
    }
    EXPECT_GE(good, 10) << emulator::kFaultNames[kind];
    // A restart ends the session that the message would travel on: try until it is taken.
    bool off = false;
    for (int i = 0; i < 100 && !off; ++i) {
      off = inject_fault(*device, static_cast<int>(kind), 0, 0).ok();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    EXPECT_TRUE(off);
  }
  const auto report = emulator.end();
  for (std::size_t kind = 0; kind < emulator::kLinkFaultKinds; ++kind) {
    const std::string name(emulator::kFaultNames[kind]);
    EXPECT_GT(report["faults"].value(name, 0), 0) << name;
  }
}

// A retry after a lost reply is answered from memory: the machine anneals once.
TEST(Link, ARetryNeverAnnealsTwice) {
  EmulatorProcess emulator({"--allow-faults"});
  const auto device = open_or_fail(emulator.uri("?attempt_ms=20"));
  ASSERT_NE(device, nullptr);
  auto solver = device->compile({4, 20});
  ASSERT_OK(solver);
  const auto layer = random_layer(4, 20, 1);
  std::vector<std::uint64_t> spins(4);
  SolveResult result;
  ASSERT_OK(inject_fault(*device, static_cast<int>(FaultKind::drop), 500'000, 0));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  for (int i = 0; i < 20; ++i) (void)solver.value()->solve(layer.problem(), {}, spins, result).ok();
  const auto report = emulator.end();
  EXPECT_EQ(report["solved"], 20);
  EXPECT_GT(report["from_memory"], 0);
}

int connect_raw(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

TEST(Link, RubbishAndSilenceDoNotStopIt) {
  EmulatorProcess emulator;
  std::mt19937_64 random(1);
  std::vector<int> raw;
  for (int i = 0; i < 100; ++i) {
    raw.push_back(connect_raw(emulator.port()));
    if (i % 2 == 0) {
      std::vector<std::uint8_t> bytes(1 + random() % 3000);
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
      (void)!::send(raw.back(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
  }
  const auto device = open_or_fail(emulator.uri());
  ASSERT_NE(device, nullptr);
  auto solver = device->compile({8, 49});
  ASSERT_OK(solver);
  const auto layer = random_layer(8, 49, 1);
  std::vector<std::uint64_t> spins(8);
  SolveResult result;
  for (int i = 0; i < 20; ++i) EXPECT_OK(solver.value()->solve(layer.problem(), {}, spins, result));
  for (const int fd : raw) ::close(fd);
  EXPECT_TRUE(emulator.alive());
}

// One user keeps the queue full; the other's job waits for one of them, not for all.
TEST(Link, UsersTakeTurns) {
  EmulatorProcess emulator;
  const auto busy = open_or_fail(emulator.uri("?reads=10&timeout_ms=60000"));
  const auto other = open_or_fail(emulator.uri("?reads=1&timeout_ms=60000"));
  ASSERT_TRUE(busy && other);
  auto busy_solver = busy->compile({8, 49});
  auto other_solver = other->compile({2, 10});
  ASSERT_OK(busy_solver);
  ASSERT_OK(other_solver);
  const auto large = random_layer(8, 49, 1);
  const auto small = random_layer(2, 10, 1);
  std::vector<std::uint64_t> spins(8);
  SolveResult result;
  ASSERT_OK(other_solver.value()->solve(small.problem(), {}, spins, result));
  ASSERT_OK(busy_solver.value()->solve(large.problem(), {}, spins, result));
  const double one_job_us = result.timing.total_us;
  for (int i = 0; i < 8; ++i) ASSERT_OK(busy_solver.value()->submit(i, large.problem(), {}));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  ASSERT_OK(other_solver.value()->solve(small.problem(), {}, spins, result));
  EXPECT_LT(result.timing.queue_us, 5 * one_job_us);
  for (int i = 0; i < 8; ++i) EXPECT_OK(busy_solver.value()->wait(i, spins, result));
}

// Something that is not a machine: whatever it says, opening it is an error and not a crash or a
// hang.
TEST(Link, APeerOfRubbish) {
  int port = 0;
  const int listener = test::listen_on_loopback(port);
  std::thread peer([&] {
    std::mt19937_64 random(1);
    for (int i = 0; i < 8; ++i) {
      const int fd = ::accept(listener, nullptr, nullptr);
      std::vector<std::uint8_t> bytes(i * 40U);
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
      if (i == 7) std::copy_n("QCIM\x01\x02", 6, bytes.begin());
      (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ::close(fd);
    }
  });
  for (int i = 0; i < 8; ++i) {
    EXPECT_FALSE(open_device("cim://127.0.0.1:" + std::to_string(port)).ok());
  }
  peer.join();
  ::close(listener);
}

TEST(Uri, RefusalsAreOneSentence) {
  EXPECT_ERROR(device_unknown, open_device("cim://"));
  EXPECT_ERROR(device_unknown, open_device("cim://127.0.0.1"));
  EXPECT_ERROR(device_unknown, open_device("cim://127.0.0.1:0"));
  EXPECT_ERROR(device_unknown, open_device("cim://127.0.0.1:99999"));
  EXPECT_ERROR(device_unknown, open_device("cim://127.0.0.1:5?reads=0"));
  EXPECT_ERROR(device_unknown, open_device("cim://127.0.0.1:5?reads=1&reads=1"));
  // A name that nobody knows is a wrong address: no stand-in waits for it.
  EXPECT_ERROR(device_unknown, open_device_or_retry("cim://no-such-host.invalid:5"));
  EXPECT_ERROR(device_unknown, open_device("cim://127.0.0.1:5?colour=red"));
  EXPECT_ERROR(device_auth, open_device("cim://192.0.2.1:7010"));
  EXPECT_ERROR(device_auth, open_device("cims://127.0.0.1:7010"));
  EXPECT_ERROR(device_unavailable, open_device("cim://127.0.0.1:1"));
}

// With the fall-back the CPU stood in for such an address for good.
TEST(Uri, APortThatIsNoneIsAWrongAddress) {
  for (const std::string port : {":99999", ":0", ":8a", ":", ":-1", ":80 "}) {
    for (const std::string scheme :
         {"cim://", "qboson+http://", "qboson+https://", "qboson-cloud://", "qboson-cloud+http://"})
      EXPECT_ERROR(device_unknown,
                   open_device(scheme + "127.0.0.1" + port + "?user=a&password_file=none"));
  }
  for (const std::string host : {"::1", "[::1", "[::1]x", "[::1]:", "[::1]:99999"})
    EXPECT_ERROR(device_unknown, open_device("qboson-cloud://" + host));
  EXPECT_ERROR(device_unknown, open_device("qboson-cloud://localhost?login_host=localhost:x"));
}

TEST(Uri, APasswordBeforeAnAtIsNotRepeated) {
  for (const std::string scheme :
       {"cim://", "cims://", "qboson+http://", "qboson+https://", "qboson-cloud://"}) {
    const auto opened = open_device(scheme + "me:letmein@localhost:5?user=a");
    EXPECT_ERROR(device_unknown, opened);
    const std::string said = test::describe(opened);
    EXPECT_EQ(said.find("letmein"), std::string::npos) << said;
    EXPECT_NE(said.find("'...@localhost:5"), std::string::npos) << said;
  }
  // Nor a secret that stands in the wrong option.
  for (const std::string scheme : {"qboson+https://", "qboson-cloud://"}) {
    for (const std::string host : {"localhost:x", "localhost:5"}) {
      const std::string said = test::describe(open_device(scheme + host + "?sdk_code=letmein"));
      EXPECT_EQ(said.find("letmein"), std::string::npos) << said;
    }
  }
}

}  // namespace
}  // namespace qama::hal::cim
