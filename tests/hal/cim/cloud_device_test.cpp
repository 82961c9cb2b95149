// The cloud driver against the emulator's cloud, with faults, and against clouds that lie.
#include <chrono>
#include <cstdlib>
#include <thread>

#include "hal/device.h"
#include "hal/fallback.h"
#include "tests/hal/cim/emulator_process.h"
#include "tests/hal/cim/lying_terminal.h"
#include "tests/hal/cim/problems.h"
#include "tests/patience.h"

namespace qama::hal {
namespace {

using test::EmulatorProcess;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class CloudFiles : public ::testing::Test {
 protected:
  CloudFiles() {
    test::write_secret(dir_.file("id"), "alice\n");
    test::write_secret(dir_.file("code"), "letmein\n");
  }
  [[nodiscard]] std::string uri_at(int port, const std::string& more = "") {
    return "qboson-cloud+http://127.0.0.1:" + std::to_string(port) + files() + more;
  }
  [[nodiscard]] std::string files() {
    return "?user_id_file=" + dir_.file("id") + "&sdk_code_file=" + dir_.file("code");
  }
  test::TempDir dir_;
};

class CloudTest : public CloudFiles {
 protected:
  [[nodiscard]] std::string uri(const EmulatorProcess& emulator, const std::string& more = "") {
    return uri_at(emulator.http_port(), more);
  }
  [[nodiscard]] std::vector<std::string> arguments(std::vector<std::string> more = {}) {
    std::vector<std::string> out{"--http", "--http-user", "alice", "--http-password-file",
                                 dir_.file("code")};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  [[nodiscard]] std::vector<std::string> with_fault(const std::string& kind,
                                                    const std::string& percent = "100") {
    return arguments({"--faults", kind, "--fault-percent", percent});
  }
  /// One job; a right energy is all that it may end with, besides an error.
  Status solve_once(const std::string& address, std::int64_t deadline_us = 0) {
    QAMA_ASSIGN_OR_RETURN(auto device, open_device(address));
    QAMA_ASSIGN_OR_RETURN(auto solver, device->compile({4, 20}));
    const auto layer = test::random_layer(4, 20, 1);
    std::vector<std::uint64_t> spins(4);
    SolveOptions options;
    options.deadline_us = deadline_us;
    QAMA_RETURN_IF_ERROR(solver->solve(layer.problem(), options, spins, result_));
    EXPECT_EQ(result_.energy, energy_of(layer.problem(), spins));
    return {};
  }
  /// What the emulator counted: every job was submitted at most once.
  static nlohmann::json expect_one_submit_a_job(EmulatorProcess& emulator, int jobs) {
    auto report = emulator.end();
    EXPECT_EQ(report["http_jobs"], jobs) << report;
    EXPECT_EQ(report["http_submits"], jobs) << report;
    EXPECT_EQ(report["http_most_submits_of_a_job"], jobs > 0 ? 1 : 0) << report;
    return report;
  }
  SolveResult result_;
};

TEST_F(CloudTest, Solves) {
  EmulatorProcess emulator(arguments());
  ASSERT_OK_AND_ASSIGN(auto device, open_device(uri(emulator)));
  EXPECT_TRUE(device->info().is_emulated);
  EXPECT_EQ(device->info().max_in_flight, 4);
  ASSERT_OK_AND_ASSIGN(const auto health, device->probe());
  EXPECT_EQ(health.state, DeviceState::available);
  ASSERT_OK_AND_ASSIGN(auto solver, device->compile({4, 20}));
  std::vector<ProblemBuffer> layers;
  for (std::uint64_t i = 0; i < 4; ++i) layers.push_back(test::random_layer(4, 20, i));
  for (int slot = 0; slot < 4; ++slot)
    ASSERT_OK(solver->submit(slot, layers[static_cast<std::size_t>(slot)].problem(), {}));
  EXPECT_ERROR(invalid_argument, solver->submit(0, layers[0].problem(), {}));
  for (int slot = 0; slot < 4; ++slot) {
    std::vector<std::uint64_t> spins(4);
    ASSERT_OK(solver->wait(slot, spins, result_));
    EXPECT_EQ(result_.energy, energy_of(layers[static_cast<std::size_t>(slot)].problem(), spins));
    EXPECT_STREQ(result_.solved_by, "qboson-cloud:emulated");
    EXPECT_EQ(result_.restarts, 10);
    const SolveTiming& t = result_.timing;
    for (const double part : {t.quantise_us, t.encode_us, t.send_us, t.queue_us, t.network_us})
      EXPECT_GT(part, 0);
    EXPECT_LE(t.login_us + t.send_us + t.queue_us + t.network_us, t.total_us);
  }
  expect_one_submit_a_job(emulator, 4);
}

TEST_F(CloudTest, FindsTheMinimum) {
  EmulatorProcess emulator(arguments());
  ASSERT_OK_AND_ASSIGN(auto device, open_device(uri(emulator)));
  ASSERT_OK_AND_ASSIGN(auto exact, open_device("exact:"));
  ASSERT_OK_AND_ASSIGN(auto solver, device->compile({3, 5}));
  ASSERT_OK_AND_ASSIGN(auto proof, exact->compile({3, 5}));
  const auto layer = test::small_integers(3, 5, 7, 1);
  std::vector<std::uint64_t> spins(3);
  SolveResult best;
  ASSERT_OK(proof->solve(layer.problem(), {}, spins, best));
  ASSERT_OK(solver->solve(layer.problem(), {}, spins, result_));
  EXPECT_EQ(result_.energy, best.energy);
}

TEST_F(CloudTest, AnExpiredTokenIsRenewedOnce) {
  {
    // A token is good for the submission, and another one for each poll.
    EmulatorProcess emulator(arguments({"--http-token-requests", "1"}));
    EXPECT_OK(solve_once(uri(emulator)));
    EXPECT_GT(result_.timing.login_us, 0);
    EXPECT_GE(expect_one_submit_a_job(emulator, 1)["http_logins"], 2);
  }
  {
    // A token that is never good: one renewal, then the error. Nothing was submitted.
    EmulatorProcess emulator(with_fault("token-expires"));
    EXPECT_ERROR(device_auth, solve_once(uri(emulator)));
    EXPECT_EQ(expect_one_submit_a_job(emulator, 0)["http_logins"], 2);
  }
}

TEST_F(CloudTest, ATokenThatIsOverIsRenewedForALargeMatrixToo) {
  // The matrix of 8 x 49 spins is larger than what a stranger may send.
  const auto layer = test::random_layer(8, 49, 1);
  const auto expect_solved = [&](const std::string& address) {
    EmulatorProcess emulator(arguments());
    const std::string at = address + ":" + std::to_string(emulator.http_port());
    ASSERT_OK_AND_ASSIGN(auto device,
                         open_device(address.starts_with("qboson-cloud")
                                         ? at + files()
                                         : at + "?user=alice&password_file=" + dir_.file("code")));
    ASSERT_OK_AND_ASSIGN(auto solver, device->compile({8, 49}));
    std::vector<std::uint64_t> spins(8);
    for (int time = 0; time < 2; ++time) {
      ASSERT_OK(solver->solve(layer.problem(), {}, spins, result_));
      EXPECT_EQ(result_.energy, energy_of(layer.problem(), spins));
      // Another one in its place knows nobody.
      if (time == 0) emulator.restart();
    }
    EXPECT_EQ(expect_one_submit_a_job(emulator, 1)["http_logins"], 1);
  };
  expect_solved("qboson-cloud+http://127.0.0.1");
  expect_solved("qboson+http://127.0.0.1");
}

TEST_F(CloudTest, AFailedTaskHasAName) {
  EmulatorProcess emulator(with_fault("task-fails"));
  const Status failed = solve_once(uri(emulator));
  EXPECT_ERROR(device_task_failed, failed);
  if (!failed.ok()) {
    EXPECT_NE(failed.error().message.find("'the machine failed'"), std::string::npos)
        << failed.error().message;
  }
  expect_one_submit_a_job(emulator, 1);
}

TEST_F(CloudTest, ALostReplyToASubmissionLeadsToNoSecondJob) {
  EmulatorProcess emulator(with_fault("submit-lost"));
  EXPECT_ERROR(device_task_unknown, solve_once(uri(emulator)));
  expect_one_submit_a_job(emulator, 1);
}

// The terminal has the same submission; there a poll by name says what became of it.
TEST_F(CloudTest, TheTerminalSubmitsOnceToo) {
  EmulatorProcess emulator(with_fault("submit-lost"));
  EXPECT_OK(solve_once("qboson+http://127.0.0.1:" + std::to_string(emulator.http_port()) +
                       "?user=alice&password_file=" + dir_.file("code")));
  expect_one_submit_a_job(emulator, 1);
}

TEST_F(CloudTest, SlowPollsAreWaitedFor) {
  EmulatorProcess emulator(with_fault("slow-poll"));
  EXPECT_OK(solve_once(uri(emulator)));
  EXPECT_GT(result_.timing.network_us, 300'000);
  expect_one_submit_a_job(emulator, 1);
}

TEST_F(CloudTest, KeepsADeadline) {
  EmulatorProcess emulator(with_fault("slow-poll"));
  for (const std::int64_t deadline_us : {1, 200'000}) {
    const auto start = Clock::now();
    EXPECT_ERROR(deadline_exceeded, solve_once(uri(emulator), deadline_us));
    // Ending the connection of a question under way takes up to a second more.
    EXPECT_LT(seconds_since(start), 3 * test::kPatience);
  }
}

TEST_F(CloudTest, CancelledJobsEndAtOnceAndTheirSlotsGoOn) {
  EmulatorProcess emulator(with_fault("slow-poll"));
  ASSERT_OK_AND_ASSIGN(auto device, open_device(uri(emulator, "&in_flight=1")));
  ASSERT_OK_AND_ASSIGN(auto solver, device->compile({4, 20}));
  const auto layer = test::random_layer(4, 20, 1);
  std::vector<std::uint64_t> spins(4);
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(solver->submit(0, layer.problem(), {}));
    EXPECT_FALSE(solver->wait_ready(0, 50'000));
    solver->cancel(0);
    EXPECT_ERROR(cancelled, solver->wait(0, spins, result_));
  }
  ASSERT_OK(solver->solve(layer.problem(), {}, spins, result_));
  EXPECT_EQ(result_.energy, energy_of(layer.problem(), spins));
}

TEST_F(CloudTest, DamagedAnswersAreAskedForAgain) {
  {
    EmulatorProcess emulator(with_fault("damaged-answer", "40"));
    ASSERT_OK_AND_ASSIGN(auto device, open_device(uri(emulator)));
    ASSERT_OK_AND_ASSIGN(auto solver, device->compile({4, 20}));
    const auto layer = test::random_layer(4, 20, 1);
    std::vector<std::uint64_t> spins(4);
    int good = 0;
    for (int i = 0; i < 10; ++i) {
      const Status done = solver->solve(layer.problem(), {}, spins, result_);
      if (!done.ok()) continue;  // damaged three times
      ++good;
      EXPECT_EQ(result_.energy, energy_of(layer.problem(), spins));
    }
    EXPECT_GT(good, 5);
    expect_one_submit_a_job(emulator, 10);
  }
}

TEST_F(CloudTest, WithAFallBackNoFaultCostsAnAnswer) {
  const int jobs = [] {
    const char* text = std::getenv("QAMA_CLOUD_JOBS");
    return text == nullptr ? 40 : std::atoi(text);
  }();
  EmulatorProcess emulator(
      arguments({"--faults", "token-expires,task-fails,submit-lost,slow-poll,damaged-answer",
                 "--fault-percent", "15", "--seed", "3"}));
  ASSERT_OK_AND_ASSIGN(auto cloud, open_device(uri(emulator)));
  FallbackOptions options;
  options.failures_to_open = 1000;  // every job tries the cloud
  ASSERT_OK_AND_ASSIGN(auto device, with_fallback(cloud, open_device("cpu:").value(), options));
  ASSERT_OK_AND_ASSIGN(auto solver, device->compile({4, 20}));
  std::vector<ProblemBuffer> layers;
  for (std::uint64_t i = 0; i < 7; ++i) layers.push_back(test::random_layer(4, 20, i));
  std::map<std::string, int> who;
  const auto take = [&](int job) {
    std::vector<std::uint64_t> spins(4);
    ASSERT_OK(solver->wait(job % 4, spins, result_));
    EXPECT_EQ(result_.energy,
              energy_of(layers[static_cast<std::size_t>(job % 7)].problem(), spins));
    ++who[std::string(result_.solved_by) + ", " + std::string(error_name(result_.device_error))];
  };
  for (int job = 0; job < jobs; ++job) {
    if (job >= 4) take(job - 4);
    ASSERT_OK(solver->submit(job % 4, layers[static_cast<std::size_t>(job % 7)].problem(), {}));
  }
  for (int job = jobs - 4; job < jobs; ++job) take(job);
  for (const auto& [name, count] : who) std::printf("%4d  %s\n", count, name.c_str());
  EXPECT_GT(fallback_counts(*device).solved_by_first, jobs / 4);
  const auto report = emulator.end();
  std::printf("%s\n", report.dump().c_str());
  EXPECT_EQ(report["http_most_submits_of_a_job"], 1);
  // A job whose token was never good does not get that far.
  EXPECT_LE(report["http_jobs"], jobs);
  for (const char* kind :
       {"token-expires", "task-fails", "submit-lost", "slow-poll", "damaged-answer"})
    EXPECT_GT(report["faults"][kind], 0) << kind;
}

TEST_F(CloudTest, TheFallBackKeepsADeadline) {
  EmulatorProcess emulator(with_fault("slow-poll"));
  ASSERT_OK_AND_ASSIGN(auto cloud, open_device(uri(emulator)));
  FallbackOptions options;
  options.policy = FallbackPolicy::deadline;
  ASSERT_OK_AND_ASSIGN(auto device, with_fallback(cloud, open_device("cpu:").value(), options));
  ASSERT_OK_AND_ASSIGN(auto solver, device->compile({4, 20}));
  const auto layer = test::random_layer(4, 20, 1);
  std::vector<std::uint64_t> spins(4);
  SolveOptions solve;
  solve.deadline_us = 150'000;
  const auto start = Clock::now();
  ASSERT_OK(solver->solve(layer.problem(), solve, spins, result_));
  EXPECT_LT(seconds_since(start), 0.15 * test::kPatience + 0.05);
  EXPECT_EQ(result_.fallback, FallbackReason::deadline);
  EXPECT_EQ(result_.energy, energy_of(layer.problem(), spins));
}

TEST_F(CloudTest, SecretsAreChecked) {
  EmulatorProcess emulator(arguments());
  test::write_secret(dir_.file("code"), "hunter2\n");
  const auto opened = open_device(uri(emulator));
  EXPECT_ERROR(device_unavailable, opened);
  if (!opened.ok()) {
    EXPECT_EQ(opened.error().message.find("hunter2"), std::string::npos);
    EXPECT_EQ(opened.error().message.find("alice"), std::string::npos);
  }
  ASSERT_EQ(::chmod(dir_.file("id").c_str(), 0604), 0);
  const auto refused = open_device(uri(emulator));
  EXPECT_ERROR(device_auth, refused);
  if (!refused.ok()) {
    EXPECT_NE(refused.error().message.find("mode 0604, expected 0600"), std::string::npos);
  }
  EXPECT_ERROR(device_unavailable, open_device(uri(emulator, "&insecure_permissions=1")));
  test::write_secret(dir_.file("id"), "\n");
  EXPECT_ERROR(device_auth, open_device(uri(emulator)));
}

TEST_F(CloudFiles, Addresses) {
  for (const std::string rest :
       {"", "/path", "a@b", "127.0.0.1:1?user_id=alice", "127.0.0.1:1?in_flight=0",
        "127.0.0.1:1?spins=5000", "127.0.0.1:1?machine=", "127.0.0.1:1?ancillas=x",
        "127.0.0.1:1?spins=2&spins=2", "127.0.0.1:1?ca=", "127.0.0.1:1?\xff=1"}) {
    EXPECT_ERROR(device_unknown, open_device("qboson-cloud://" + rest));
  }
  EXPECT_ERROR(device_auth, open_device("qboson-cloud://127.0.0.1"));
  EXPECT_ERROR(device_auth, open_device("qboson-cloud+http://192.0.2.1:80" + files()));
  EXPECT_ERROR(device_auth, open_device(uri_at(1, "&login_host=192.0.2.1")));
  EXPECT_ERROR(io_error, open_device("qboson-cloud://127.0.0.1?user_id_file=/nowhere/id"));
  EXPECT_ERROR(device_unavailable, open_device(uri_at(1)));
}

TEST_F(CloudTest, HttpsIsVerified) {
  const auto run = [](const std::string& command) {
    return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
  };
  if (!run("openssl version")) GTEST_SKIP() << "SKIPPED: no openssl program";
  const auto make = [&](const std::string& name, const std::string& subject) {
    return run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
               "-subj /CN=" +
               name + " -addext subjectAltName=" + subject + " -keyout " +
               dir_.file(name + ".key") + " -out " + dir_.file(name + ".pem")) &&
           ::chmod(dir_.file(name + ".key").c_str(), 0600) == 0;
  };
  ASSERT_TRUE(make("here", "IP:127.0.0.1") && make("elsewhere", "IP:127.0.0.2"));
  const auto serve = [&](const std::string& name) {
    return arguments(
        {"--http-tls-cert", dir_.file(name + ".pem"), "--http-tls-key", dir_.file(name + ".key")});
  };
  const auto address = [&](const EmulatorProcess& emulator, const std::string& more) {
    return "qboson-cloud://127.0.0.1:" + std::to_string(emulator.http_port()) + files() + more;
  };
  {
    EmulatorProcess emulator(serve("here"));
    EXPECT_OK(solve_once(address(emulator, "&ca=" + dir_.file("here.pem"))));
    EXPECT_ERROR(device_auth, open_device(address(emulator, "")));
    EXPECT_ERROR(device_auth, open_device(address(emulator, "&ca=" + dir_.file("elsewhere.pem"))));
    EXPECT_ERROR(device_auth, open_device(address(emulator, "&ca=" + dir_.file("nothing.pem"))));
  }
  EmulatorProcess emulator(serve("elsewhere"));
  EXPECT_ERROR(device_auth, open_device(address(emulator, "&ca=" + dir_.file("elsewhere.pem"))));
  // HTTPS never becomes plain.
  EmulatorProcess plain(arguments());
  EXPECT_ERROR(device_unavailable, open_device(address(plain, "")));
}

// ---- clouds that lie ----

class LyingCloud : public CloudFiles {
 protected:
  using Bodies = test::LyingTerminal::Bodies;
  using Send = test::LyingTerminal::Send;
  static std::function<void(const Send&)> text(const std::string& body) {
    return [body](const Send& send) { (void)send(body); };
  }
  static Bodies honest() {
    return {{"/sso/access_token/", text(R"({"code":"0","data":{"token":"abc"}})")},
            {"/api/system/business/task/", text(R"({"code":"0","data":{"task_id":7}})")}};
  }
  Status solve(const Bodies& bodies, const std::string& more = "") {
    const test::LyingTerminal cloud(bodies);
    QAMA_ASSIGN_OR_RETURN(auto device,
                          open_device(uri_at(cloud.port(), "&ancillas=1&timeout_ms=2000" + more)));
    QAMA_ASSIGN_OR_RETURN(auto solver, device->compile({1, 2}));
    const auto layer = test::small_integers(1, 2, 0, 3);  // whose energies are all 0
    std::vector<std::uint64_t> spins(1);
    const Status done = solver->solve(layer.problem(), {}, spins, result_);
    if (done.ok()) {
      EXPECT_EQ(result_.energy, energy_of(layer.problem(), spins));
    }
    return done;
  }
  /// The reply to every poll has this data.
  Status solve_with_data(const std::string& data) {
    Bodies bodies = honest();
    bodies["/api/system/business/task/7/"] = text(R"({"code":"0","data":)" + data + "}");
    return solve(bodies);
  }
  Status solve_with_answer(const std::string& values, const std::string& rows) {
    return solve_with_data(R"({"task_status":2,"qubo_value":)" + values +
                           R"(,"qubo_solution_data":)" + rows + "}");
  }
  SolveResult result_;
};

TEST_F(LyingCloud, AnHonestOneIsUnderstood) {
  EXPECT_OK(solve_with_answer("[0,0.0]", "[[1,-1,1],[1,-1,-1]]"));
  EXPECT_EQ(result_.restarts, 2);
  EXPECT_STREQ(result_.solved_by, "qboson-cloud");
  // The good sample counts.
  EXPECT_OK(solve_with_answer("[0,0]", "[[1,7,1],[1,-1,-1]]"));
}

TEST_F(LyingCloud, AnswersAreChecked) {
  const auto refused = [&](const std::string& values, const std::string& rows) {
    EXPECT_ERROR(device_bad_answer, solve_with_answer(values, rows));
  };
  refused("[0]", "[[1,7,1]]");
  refused("[0]", "[[1,0,1]]");
  refused("[0]", "[[1,1]]");
  refused("[0]", "[[1,1,1,1]]");
  refused("[0]", "[5]");
  refused("[]", "[]");
  refused("[]", "[[1,1,1]]");
  refused("[0,0]", "[[1,1,1]]");
  refused("null", "[[1,1,1]]");
  refused("[8]", "[[1,1,1]]");
  refused("[1e300]", "[[1,1,1]]");
  refused("[null]", "[[1,1,1]]");
  EXPECT_ERROR(device_protocol, solve_with_answer("[0]", "[[1,1,1}]"));
  for (const std::string status : {"4", "-1", "\"2\"", "2.0", "null"})
    EXPECT_ERROR(device_protocol, solve_with_data(R"({"task_status":)" + status + "}"));
  EXPECT_ERROR(device_protocol, solve_with_data("[]"));
  EXPECT_ERROR(device_task_failed, solve_with_data(R"({"task_status":3,"desc":["x"]})"));
  EXPECT_ERROR(deadline_exceeded, solve_with_data(R"({"task_status":1})"));
}

TEST_F(LyingCloud, TokensAndTaskIds) {
  for (const std::string token : {R"("a\r\nHost: elsewhere")", R"("")", "7", "null", R"(["a"])"}) {
    EXPECT_ERROR(
        device_protocol,
        solve({{"/sso/access_token/", text(R"({"code":"0","data":{"token":)" + token + "}}")}}));
  }
  EXPECT_ERROR(device_protocol, solve({{"/sso/access_token/", text("[]")}}));
  // The submission may have been taken, so it is not made again.
  for (const std::string id : {R"("../../login")", "-1", "1.5", "null", R"({"a":1})"}) {
    Bodies bodies = honest();
    bodies["/api/system/business/task/"] = text(R"({"code":"0","data":{"task_id":)" + id + "}}");
    EXPECT_ERROR(device_task_unknown, solve(bodies));
  }
  Bodies bodies = honest();
  bodies["/api/system/business/task/"] = text("<html>502 Bad Gateway</html>");
  EXPECT_ERROR(device_task_unknown, solve(bodies));
  bodies["/api/system/business/task/"] = text(R"({"code":"9","msg":"no quota","data":null})");
  EXPECT_ERROR(device_unavailable, solve(bodies));
}

}  // namespace
}  // namespace qama::hal
