// A pool of machines: emulators behind the link and behind the vendor's cloud, as processes of
// their own.
#include "hal/pool.h"

#include <chrono>
#include <thread>

#include "hal/fallback.h"
#include "tests/hal/cim/emulator_process.h"
#include "tests/hal/cim/lying_machine.h"
#include "tests/hal/cim/problems.h"

namespace qama::hal {
namespace {

using test::EmulatorProcess;
using Clock = std::chrono::steady_clock;

/// "127.0.0.1:7010,127.0.0.1:7011"
std::string hosts(const std::vector<const EmulatorProcess*>& machines) {
  std::string out;
  for (const EmulatorProcess* machine : machines)
    out += (out.empty() ? "" : ",") + std::string("127.0.0.1:") + std::to_string(machine->port());
  return out;
}

/// Jobs of 4 x 20 spins, with as many on their way as the solver holds. Every answer has to be
/// right.
class Load {
 public:
  explicit Load(Device& device) : solver_(device.compile({4, 20}).value()) {
    for (std::uint64_t i = 0; i < 5; ++i) layers_.push_back(test::random_layer(4, 20, i));
  }
  [[nodiscard]] Solver& solver() { return *solver_; }
  /// How many were solved; `between` is called before every submission with its number.
  template <typename Between>
  int run(int jobs, const Between& between) {
    const int slots = solver_->max_in_flight();
    int solved = 0;
    std::vector<bool> sent(static_cast<std::size_t>(slots));
    for (int job = 0; job < jobs + slots; ++job) {
      const auto slot = static_cast<std::size_t>(job % slots);
      if (sent[slot]) {
        SolveResult result;
        std::vector<std::uint64_t> spins(4);
        last_ = solver_->wait(job % slots, spins, result);
        if (last_.ok()) {
          ++solved;
          EXPECT_EQ(result.energy, energy_of(layer(job - slots), spins));
          EXPECT_GT(result.timing.total_us, 0);
        }
        sent[slot] = false;
      }
      if (job >= jobs) continue;
      between(job);
      last_ = solver_->submit(job % slots, layer(job), {});
      sent[slot] = last_.ok();
    }
    return solved;
  }
  int run(int jobs) {
    return run(jobs, [](int) {});
  }
  [[nodiscard]] const Status& last() const { return last_; }

 private:
  [[nodiscard]] const DenseView& layer(int job) {
    return layers_[static_cast<std::size_t>(job) % layers_.size()].problem();
  }
  std::unique_ptr<Solver> solver_;
  std::vector<ProblemBuffer> layers_;
  Status last_;
};

TEST(Pool, SharesJobsEvenly) {
  EmulatorProcess one, two;
  ASSERT_OK_AND_ASSIGN(auto device, open_device("cim://" + hosts({&one, &two}) + "?in_flight=2"));
  const DeviceInfo& info = device->info();
  EXPECT_EQ(info.uri, "cim://" + hosts({&one, &two}) + "?in_flight=2");
  EXPECT_EQ(info.max_in_flight, 4);
  EXPECT_EQ(info.max_spins, 550);
  EXPECT_TRUE(info.is_emulated);
  ASSERT_OK_AND_ASSIGN(const auto health, device->probe());
  EXPECT_EQ(health.state, DeviceState::available);
  EXPECT_EQ(health.detail.find("2 of 2 machines are available"), 0U) << health.detail;
  Load load(*device);
  EXPECT_EQ(load.run(100), 100);
  const auto shares = pool_shares(*device);
  ASSERT_EQ(shares.size(), 2U);
  EXPECT_EQ(shares[0].uri, one.uri("?in_flight=2"));
  for (const PoolShare& share : shares) {
    EXPECT_GE(share.solved, 40) << share.uri;
    EXPECT_EQ(share.failed, 0) << share.uri;
  }
  // What the machines themselves counted.
  const auto first = one.end(), second = two.end();
  EXPECT_EQ(first["solved"].get<int>() + second["solved"].get<int>(), 100);
  EXPECT_GE(first["solved"], 40);
}

TEST(Pool, FindsTheMinimum) {
  EmulatorProcess one, two;
  ASSERT_OK_AND_ASSIGN(auto device, open_device("cim://" + hosts({&one, &two}) + "?reads=20"));
  ASSERT_OK_AND_ASSIGN(auto exact, open_device("exact:"));
  ASSERT_OK_AND_ASSIGN(auto solver, device->compile({3, 5}));
  ASSERT_OK_AND_ASSIGN(auto proof, exact->compile({3, 5}));
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const auto layer = test::small_integers(3, 5, 7, seed);
    std::vector<std::uint64_t> spins(3);
    SolveResult best, found;
    ASSERT_OK(proof->solve(layer.problem(), {}, spins, best));
    ASSERT_OK(solver->solve(layer.problem(), {}, spins, found));
    EXPECT_EQ(found.energy, best.energy);
  }
}

TEST(Pool, AMachineThatFailsIsLeftOutAndComesBack) {
  EmulatorProcess one, two;
  ASSERT_OK_AND_ASSIGN(auto device, open_device("cim://" + hosts({&one, &two})));
  Load load(*device);
  // Whatever the machine had goes to the other: no job is lost.
  EXPECT_EQ(load.run(200,
                     [&](int job) {
                       if (job == 50) one.kill_now();
                     }),
            200);
  auto shares = pool_shares(*device);
  EXPECT_GT(shares[0].failed, 0);
  EXPECT_GT(shares[1].solved, shares[0].solved);
  EXPECT_EQ(shares[1].failed, 0);
  one.restart();
  // Until the pause is over.
  const std::int64_t before = shares[0].solved;
  const auto start = Clock::now();
  while (pool_shares(*device)[0].solved <= before + 10) {
    ASSERT_LT(Clock::now() - start, std::chrono::seconds(60));
    ASSERT_EQ(load.run(20), 20);
  }
}

TEST(Pool, AMachineThatIsDownAtTheStartJoins) {
  EmulatorProcess one, two;
  one.kill_now();
  ASSERT_OK_AND_ASSIGN(auto device, open_device("cim://" + hosts({&one, &two})));
  EXPECT_EQ(device->info().max_spins, 550);
  ASSERT_OK_AND_ASSIGN(auto health, device->probe());
  EXPECT_EQ(health.detail.find("1 of 2 machines are available"), 0U) << health.detail;
  Load load(*device);
  EXPECT_EQ(load.run(50), 50);
  EXPECT_EQ(pool_shares(*device)[0].solved, 0);
  one.restart();
  const auto start = Clock::now();
  while (pool_shares(*device)[0].solved < 10) {
    ASSERT_LT(Clock::now() - start, std::chrono::seconds(60));
    ASSERT_EQ(load.run(20), 20);
  }
}

TEST(Pool, WithoutAMachineThereIsAnErrorAndTheFallBack) {
  EmulatorProcess one, two;
  ASSERT_OK_AND_ASSIGN(auto device, open_device("cim://" + hosts({&one, &two})));
  Load load(*device);
  EXPECT_EQ(load.run(20), 20);
  const std::string uri = device->info().uri;
  one.kill_now();
  two.kill_now();
  EXPECT_EQ(load.run(20), 0);
  EXPECT_FALSE(load.last().ok());
  EXPECT_ERROR(device_unavailable, open_device(uri));
  ASSERT_OK_AND_ASSIGN(auto covered, with_fallback(device, open_device("cpu:").value(), {}));
  Load second(*covered);
  EXPECT_EQ(second.run(20), 20);
}

TEST(Pool, FaultsOfOneMachineCostNoAnswer) {
  // Energies that do not fit the spins, on one machine.
  EmulatorProcess good,
      bad({"--faults", "flip-before-crc,wrong-size,drop", "--fault-percent", "60"});
  ASSERT_OK_AND_ASSIGN(auto device, open_device("cim://" + hosts({&bad, &good})));
  Load load(*device);
  EXPECT_EQ(load.run(100), 100);
  EXPECT_GT(pool_shares(*device)[1].solved, 50);
}

// This end has found the job in order, so it is the machine that is not.
TEST(Pool, AMachineThatRefusesCostsNoAnswer) {
  using hal::cim::LinkStatus;
  for (const LinkStatus status : {LinkStatus::too_large, LinkStatus::bad_value,
                                  LinkStatus::cancelled, LinkStatus::internal, LinkStatus::auth}) {
    EmulatorProcess good;
    const test::LyingMachine bad(status);
    ASSERT_OK_AND_ASSIGN(auto device, open_device("cim://" + bad.host() + "," + hosts({&good})));
    Load load(*device);
    EXPECT_EQ(load.run(30), 30) << static_cast<int>(status);
    EXPECT_GT(bad.jobs(), 0);
  }
}

TEST(Pool, CancelledJobsEnd) {
  EmulatorProcess one({"--faults", "delay", "--fault-percent", "100"}), two;
  ASSERT_OK_AND_ASSIGN(auto device, open_device("cim://" + hosts({&one, &two})));
  Load load(*device);
  EXPECT_EQ(load.run(4), 4);
  const auto layer = test::random_layer(4, 20, 1);
  std::vector<std::uint64_t> spins(4);
  SolveResult result;
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK(load.solver().submit(0, layer.problem(), {}));
    std::thread other([&] { load.solver().cancel(0); });
    const Status done = load.solver().wait(0, spins, result);
    other.join();
    if (!done.ok()) EXPECT_ERROR(cancelled, done);
  }
  EXPECT_EQ(load.run(20), 20);
}

TEST(Pool, AJobWhoseFateIsUnknownIsSubmittedOnce) {
  test::TempDir dir;
  test::write_secret(dir.file("id"), "user\n");
  test::write_secret(dir.file("code"), "password\n");
  EmulatorProcess lost({"--http", "--faults", "submit-lost", "--fault-percent", "100"});
  EmulatorProcess good({"--http"});
  EmulatorProcess failing({"--http", "--http-fail-tasks"});
  const auto uri = [&](const EmulatorProcess& one, const EmulatorProcess& two) {
    return "qboson-cloud+http://127.0.0.1:" + std::to_string(one.http_port()) +
           ",127.0.0.1:" + std::to_string(two.http_port()) +
           "?in_flight=1&user_id_file=" + dir.file("id") + "&sdk_code_file=" + dir.file("code");
  };
  const auto layer = test::random_layer(4, 20, 1);
  std::vector<std::uint64_t> spins(4);
  SolveResult result;
  const auto solve = [&](const std::string& address) -> Status {
    QAMA_ASSIGN_OR_RETURN(auto device, open_device(address));
    EXPECT_EQ(device->info().max_in_flight, 2);
    QAMA_ASSIGN_OR_RETURN(auto solver, device->compile({4, 20}));
    return solver->solve(layer.problem(), {}, spins, result);
  };
  EXPECT_ERROR(device_task_unknown, solve(uri(lost, good)));
  // A task that failed has ended: another machine may have it.
  EXPECT_OK(solve(uri(failing, good)));
  EXPECT_EQ(result.energy, energy_of(layer.problem(), spins));
  EXPECT_EQ(lost.end()["http_submits"], 1);
  EXPECT_EQ(failing.end()["http_submits"], 1);
  EXPECT_EQ(good.end()["http_submits"], 1);
}

TEST(Pool, Addresses) {
  EmulatorProcess one;
  const std::string host = "127.0.0.1:" + std::to_string(one.port());
  for (const std::string& list :
       std::vector<std::string>{",", host + ",", "," + host, host + ",," + host, host + "," + host,
                                host + ",nowhere", "a,b"})
    EXPECT_ERROR(device_unknown, open_device("cim://" + list));
  EXPECT_ERROR(invalid_argument, make_pool({}, {}));
  EXPECT_TRUE(pool_shares(*open_device("cpu:").value()).empty());
}

}  // namespace
}  // namespace qama::hal
