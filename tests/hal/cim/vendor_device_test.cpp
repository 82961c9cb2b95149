// The vendor driver against the emulator's HTTP paths.
#include <fstream>

#include "hal/device.h"
#include "tests/hal/cim/emulator_process.h"
#include "tests/hal/cim/problems.h"

namespace qama::hal {
namespace {

using test::EmulatorProcess;

class VendorTest : public ::testing::Test {
 protected:
  VendorTest() { test::write_secret(dir_.file("password"), "letmein\n"); }
  std::string uri(const EmulatorProcess& emulator, const std::string& more = "") {
    return "qboson+http://127.0.0.1:" + std::to_string(emulator.http_port()) +
           "?user=alice&password_file=" + dir_.file("password") + more;
  }
  std::vector<std::string> arguments(std::vector<std::string> more = {}) {
    std::vector<std::string> out{"--http", "--http-user", "alice", "--http-password-file",
                                 dir_.file("password")};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  Status solve(const std::string& address, SolveResult& result, std::int64_t deadline_us = 0) {
    QAMA_ASSIGN_OR_RETURN(auto device, open_device(address));
    EXPECT_TRUE(device->info().is_emulated);
    QAMA_ASSIGN_OR_RETURN(auto solver, device->compile({4, 20}));
    const auto layer = test::random_layer(4, 20, 1);
    std::vector<std::uint64_t> spins(4);
    SolveOptions options;
    options.deadline_us = deadline_us;
    for (int i = 0; i < 2; ++i) {
      QAMA_RETURN_IF_ERROR(solver->solve(layer.problem(), options, spins, result));
      EXPECT_EQ(result.energy, energy_of(layer.problem(), spins));
    }
    return {};
  }
  test::TempDir dir_;
};

TEST_F(VendorTest, Solves) {
  EmulatorProcess emulator(arguments());
  SolveResult result;
  ASSERT_OK(solve(uri(emulator), result));
  EXPECT_STREQ(result.solved_by, "qboson:emulated");
  EXPECT_EQ(result.restarts, 10);
}

TEST_F(VendorTest, AnExpiredTokenIsRenewed) {
  EmulatorProcess emulator(arguments({"--http-token-requests", "3"}));
  SolveResult result;
  EXPECT_OK(solve(uri(emulator), result));
}

TEST_F(VendorTest, WrongPasswordAndItsSecrecy) {
  EmulatorProcess emulator(arguments());
  test::write_secret(dir_.file("password"), "hunter2\n");
  const auto opened = open_device(uri(emulator));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().message.find("hunter2"), std::string::npos);
  EXPECT_ERROR(device_auth, open_device("qboson+http://127.0.0.1:1?user=alice"));
  EXPECT_ERROR(device_unknown, open_device("qboson+http://127.0.0.1:1?user=\xFF"));
  EXPECT_ERROR(device_auth, open_device("qboson+http://192.0.2.1:80?user=alice"));
  EXPECT_ERROR(device_unknown, open_device("qboson+http://nowhere"));
}

TEST_F(VendorTest, AFaultyMachineAndAFailedTaskAreErrors) {
  {
    EmulatorProcess emulator(arguments({"--http-machine-status", "3"}));
    const auto opened = open_device(uri(emulator));
    EXPECT_ERROR(device_unavailable, opened);
    if (!opened.ok()) {
      EXPECT_NE(opened.error().message.find("faulty"), std::string::npos);
    }
  }
  {
    EmulatorProcess emulator(arguments({"--http-fail-tasks"}));
    SolveResult result;
    EXPECT_ERROR(device_lost, solve(uri(emulator), result));
  }
}

TEST_F(VendorTest, ADamagedSampleIsNotUsed) {
  EmulatorProcess emulator(arguments({"--http-damage-answers"}));
  SolveResult result;
  // One of ten samples is damaged: the others serve.
  EXPECT_OK(solve(uri(emulator), result));
}

TEST_F(VendorTest, KeepsADeadline) {
  EmulatorProcess emulator(arguments());
  SolveResult result;
  EXPECT_ERROR(deadline_exceeded, solve(uri(emulator), result, 1));
}

}  // namespace
}  // namespace qama::hal
