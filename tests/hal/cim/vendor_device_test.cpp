// The vendor driver against the emulator's HTTP paths, and against terminals that lie.
#include <chrono>
#include <fstream>
#include <thread>

#include "hal/device.h"
#include "tests/hal/cim/emulator_process.h"
#include "tests/hal/cim/lying_terminal.h"
#include "tests/hal/cim/problems.h"
#include "tests/hal/emulator/attacks.h"
#include "tests/patience.h"
#include "tests/patient_watch.h"

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
    EXPECT_ERROR(device_task_failed, solve(uri(emulator), result));
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

// ---- terminals that lie ----

const std::string kLogin =
    R"({"code":"0","msg":"ok","data":{"token":{"access":"abc"},"user_id":1}})";
const std::string kMachine = R"({"code":"0","msg":"ok","data":{"status":1,"is_emulated":true}})";

class LyingVendor : public ::testing::Test {
 protected:
  using Bodies = test::LyingTerminal::Bodies;
  using Send = test::LyingTerminal::Send;

  LyingVendor() { test::write_secret(dir_.file("password"), "letmein\n"); }
  static std::function<void(const Send&)> text(const std::string& body) {
    return [body](const Send& send) { (void)send(body); };
  }
  /// `megabytes` of `unit` behind `begin`.
  static std::function<void(const Send&)> flood(const std::string& begin, const std::string& unit,
                                                std::size_t megabytes) {
    return [=](const Send& send) {
      std::string piece;
      while (piece.size() < 65536) piece += unit;
      bool open = send(begin);
      for (std::size_t sent = 0; open && sent < megabytes << 20; sent += piece.size())
        open = send(piece);
    };
  }
  Bodies honest() {
    return {{"/kdev/terminal/login/", text(kLogin)},
            {"/kdev/terminal/machine/", text(kMachine)},
            {"/kdev/terminal/upload_file/", text(R"({"code":"0","data":{"id":3}})")},
            {"/kdev/terminal/batch-task/", text(R"({"code":"0","data":{"id":4}})")},
            {"/kdev/terminal/machine-task/", text(R"({"code":"0","data":{"id":4,"status":5}})")}};
  }
  /// From the address to an answer. Checks that it takes no longer and needs no more memory than it
  /// may.
  Status solve(const Bodies& bodies, const std::string& more = "", double seconds = 1) {
    const test::LyingTerminal terminal(bodies);
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
    const test::PatientWatch watch;
    Status done = solve_at("qboson+http://127.0.0.1:" + std::to_string(terminal.port()) +
                           "?user=alice&password_file=" + dir_.file("password") + more);
    EXPECT_LT(watch.seconds(), seconds * test::kPatience);
    if (test::kPatience == 1) {
      EXPECT_LT(test::peak_megabytes(::getpid()), 64);
    }
    return done;
  }
  Status solve_at(const std::string& address) {
    QAMA_ASSIGN_OR_RETURN(auto device, open_device(address));
    QAMA_ASSIGN_OR_RETURN(auto solver, device->compile({1, 3}));
    const auto layer = test::random_layer(1, 3, 1);
    std::vector<std::uint64_t> spins(1);
    return solver->solve(layer.problem(), {}, spins, result_);
  }
  /// The answer to the last question is `body`; the machine has one ancilla.
  Status solve_with_answer(std::function<void(const Send&)> body, double seconds = 1) {
    Bodies bodies = honest();
    bodies["/kdev/terminal/task/"] = std::move(body);
    return solve(bodies, "&ancillas=1", seconds);
  }

  SolveResult result_;
  test::TempDir dir_;
};

TEST_F(LyingVendor, AnHonestOneIsUnderstood) {
  EXPECT_OK(solve_with_answer(text(R"({"code":"0","data":{"out_data":[[1,-1,1,1],[1,1,1,-1]]}})")));
  EXPECT_EQ(result_.restarts, 2);
}

// It was asked for the samples of task 0, which are somebody else's.
TEST_F(LyingVendor, ATaskWithoutAnIdHasNoSamples) {
  for (const std::string id : {R"("id":"x7",)", R"("id":0,)", R"("id":-4,)", R"("id":4.0,)",
                               R"("id":18446744073709551615,)", ""}) {
    Bodies bodies = honest();
    bodies["/kdev/terminal/machine-task/"] =
        text(R"({"code":"0","data":{)" + id + R"("status":5}})");
    bodies["/kdev/terminal/task/"] = text(R"({"code":"0","data":{"out_data":[[1,-1,1,1]]}})");
    const Status done = solve(bodies, "&ancillas=1");
    EXPECT_ERROR(device_protocol, done);
    if (!done.ok()) {
      EXPECT_NE(done.error().message.find("but not its id"), std::string::npos)
          << id << done.error().message;
    }
  }
}

// It gave up when the next pause would have ended too late: after 1.3 of 2 seconds here.
TEST_F(LyingVendor, ATaskThatIsDoneJustInTimeCounts) {
  Bodies bodies = honest();
  bodies["/kdev/terminal/machine-task/"] = [](const Send& send) {
    static const auto first = std::chrono::steady_clock::now();  // in the terminal's process
    const bool done = std::chrono::steady_clock::now() - first > std::chrono::milliseconds(1400);
    (void)send(done ? R"({"code":"0","data":{"id":4,"status":5}})"
                    : R"({"code":"0","data":{"id":4,"status":1}})");
  };
  bodies["/kdev/terminal/task/"] = text(R"({"code":"0","data":{"out_data":[[1,-1,1,1]]}})");
  EXPECT_OK(solve(bodies, "&ancillas=1&timeout_ms=2000", 3));
}

// One poll without an answer ended a task that went on.
TEST_F(LyingVendor, TwoPollsInARowMayFail) {
  const auto fails = [](int polls) {
    return [polls](const Send& send) {
      static int polled = 0;  // in the terminal's process
      if (++polled > 1 && polled <= 1 + polls) return;
      (void)send(polled == 1 ? R"({"code":"0","data":{"id":4,"status":1}})"
                             : R"({"code":"0","data":{"id":4,"status":5}})");
    };
  };
  Bodies bodies = honest();
  bodies["/kdev/terminal/task/"] = text(R"({"code":"0","data":{"out_data":[[1,-1,1,1]]}})");
  bodies["/kdev/terminal/machine-task/"] = fails(2);
  EXPECT_OK(solve(bodies, "&ancillas=1", 3));
  bodies["/kdev/terminal/machine-task/"] = fails(3);
  EXPECT_ERROR(device_protocol, solve(bodies, "&ancillas=1", 3));
}

TEST_F(LyingVendor, ACancelledWaitEndsBetweenTwoPolls) {
  Bodies bodies = honest();
  bodies["/kdev/terminal/machine-task/"] = text(R"({"code":"0","data":{"id":4,"status":1}})");
  const test::LyingTerminal terminal(bodies);
  ASSERT_OK_AND_ASSIGN(auto device,
                       open_device("qboson+http://127.0.0.1:" + std::to_string(terminal.port()) +
                                   "?user=alice&password_file=" + dir_.file("password")));
  ASSERT_OK_AND_ASSIGN(auto solver, device->compile({1, 3}));
  const auto layer = test::random_layer(1, 3, 1);
  std::vector<std::uint64_t> spins(1);
  ASSERT_OK(solver->submit(0, layer.problem(), {}));
  std::thread other([&] {
    // The pause after it is more than a second long.
    std::this_thread::sleep_for(std::chrono::milliseconds(1400));
    solver->cancel(0);
  });
  const test::PatientWatch watch;
  EXPECT_ERROR(cancelled, solver->wait(0, spins, result_));
  EXPECT_LT(watch.seconds(), 2.2 * test::kPatience);
  other.join();
}

TEST_F(LyingVendor, NestedAnswersCostOneSentence) {
  for (const std::size_t megabytes : {1, 60}) {
    for (const char* path : {"/kdev/terminal/login/", "/kdev/terminal/machine/",
                             "/kdev/terminal/upload_file/", "/kdev/terminal/machine-task/"}) {
      Bodies bodies = honest();
      bodies[path] = flood(R"({"code":"0","data":)", "[", megabytes);
      const Status done = solve(bodies);
      EXPECT_ERROR(device_protocol, done);
      if (!done.ok()) {
        EXPECT_NE(done.error().message.find("deeper than 16"), std::string::npos)
            << done.error().message;
      }
    }
    EXPECT_ERROR(device_protocol,
                 solve_with_answer(flood(R"({"data":{"out_data":[)", "[", megabytes)));
  }
}

TEST_F(LyingVendor, LongAnswersCostOneSentence) {
  const std::string begin = R"({"code":"0","data":{"id":1,"token":[)";
  for (const std::string unit : {"1,", "\"a\",", "{},", "\"x", " "}) {
    Bodies bodies = honest();
    bodies["/kdev/terminal/login/"] = flood(begin, unit, 60);
    EXPECT_ERROR(device_protocol, solve(bodies));
  }
  // Where samples belong, too.
  const std::string samples = R"({"code":"0","data":{"out_data":[)";
  EXPECT_ERROR(device_protocol, solve_with_answer(flood(samples, "[1,-1,1,1],", 60)));
  EXPECT_ERROR(device_protocol, solve_with_answer(flood(samples, "1,", 60)));
  std::string wide = "[1";
  while (wide.size() < 8192) wide += ",-1";
  EXPECT_ERROR(device_protocol, solve_with_answer(flood(samples, wide + "],", 80), 60));
}

TEST_F(LyingVendor, ATokenThatIsNoneIsRefused) {
  for (const std::string token : {R"("a\r\nHost: elsewhere")", R"("")", "7", R"(["a"])"}) {
    Bodies bodies = honest();
    bodies["/kdev/terminal/login/"] =
        text(R"({"code":"0","data":{"token":{"access":)" + token + R"(},"user_id":1}})");
    EXPECT_ERROR(device_protocol, solve(bodies));
  }
}

TEST_F(LyingVendor, WhoDripsIsNotWaitedFor) {
  Bodies bodies = honest();
  bodies["/kdev/terminal/login/"] = [](const Send& send) {
    while (send(" ")) ::usleep(10000);
  };
  EXPECT_ERROR(deadline_exceeded, solve(bodies, "&timeout_ms=300"));
}

TEST_F(LyingVendor, PasswordFilesAreTheOwnersAlone) {
  const auto opened = [&](const std::string& more) { return solve(honest(), more); };
  ASSERT_EQ(::chmod(dir_.file("password").c_str(), 0640), 0);
  const Status refused = opened("");
  EXPECT_ERROR(device_auth, refused);
  if (!refused.ok()) {
    EXPECT_NE(refused.error().message.find("mode 0640, expected 0600"), std::string::npos)
        << refused.error().message;
  }
  // It is taken where somebody insists; this terminal then has no answer.
  EXPECT_ERROR(device_protocol, opened("&insecure_permissions=1"));
  EXPECT_ERROR(device_unknown, opened("&insecure_permissions=yes"));
}

TEST(VendorAddress, WhatIsNoUtf8IsUnknown) {
  for (const std::string rest : {"?user=\xff", "?user=a&machine_id=\xc3", "?password_file=\xff",
                                 "?\xff=1", "?ancillas=\xff"}) {
    EXPECT_ERROR(device_unknown, open_device("qboson+http://127.0.0.1:1" + rest));
    EXPECT_ERROR(device_unknown, open_device("cim://127.0.0.1:1" + rest));
    EXPECT_ERROR(device_unknown, open_device("cpu:" + rest));
  }
}

}  // namespace
}  // namespace qama::hal
