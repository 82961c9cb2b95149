// The engine on an Ising machine: several samples in flight, a machine that is down when it is
// opened, nothing allocated in the steady state, and `qama profile` side by side with a CPU.
#include <qama/qama.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "hal/reopen.h"
#include "runtime/engine/profiler.h"
#include "runtime/engine/session.h"
#include "tests/counted_malloc.h"
#include "tests/hal/cim/emulator_process.h"
#include "tests/hal/cim/problems.h"
#include "tests/runtime/engine/models.h"

namespace qama::test {
namespace {

using hal::FallbackReason;
using runtime::Session;
using runtime::SessionOptions;
using weights::AttentionKind;

constexpr std::int32_t kBatch = 16;

class Engine : public ::testing::Test {
 protected:
  std::unique_ptr<Session> session(const SessionOptions& options) {
    auto made = Session::create(held.model, options);
    EXPECT_OK(made);
    return made.ok() ? std::move(made).value() : nullptr;
  }
  MemoryModel held = make_model(mnist_architecture(AttentionKind::qama), 3);
  std::vector<std::uint8_t> pixels = random_pixels(kBatch * 784, 9);
  std::vector<float> logits = std::vector<float>(kBatch * 10);
};

TEST_F(Engine, SamplesInFlightDoNotChangeAnswers) {
  EmulatorProcess emulator;
  SessionOptions options{.max_batch = kBatch};
  options.device = emulator.uri("?reads=1&timeout_ms=60000");
  options.fallback = runtime::FallbackPolicy::never;
  std::vector<float> expected(kBatch * 10);
  ASSERT_OK(session(options)->run_u8(pixels, kBatch, expected));
  for (const std::int32_t threads : {1, 2}) {
    for (const std::int32_t in_flight : {2, 4, 64}) {
      options.threads = threads;
      options.in_flight = in_flight;
      auto several = session(options);
      ASSERT_NE(several, nullptr);
      EXPECT_EQ(several->plan().arena_bytes(), several->plan().lane_bytes() *
                                                   static_cast<std::size_t>(threads) *
                                                   static_cast<std::size_t>(in_flight));
      runtime::Profiler profiler(several->plan());
      runtime::RunOptions run;
      run.hooks.profiler = &profiler;
      for (int round = 0; round < 2; ++round) {
        std::fill(logits.begin(), logits.end(), 0.0F);
        ASSERT_OK(several->run_u8(pixels, kBatch, logits, run));
        EXPECT_EQ(logits, expected) << threads << " threads, " << in_flight << " in flight";
      }
      for (std::int32_t sample = 0; sample < kBatch; ++sample) {
        EXPECT_GT(several->latency_us(sample), 0);
        for (const auto& step : profiler.row(sample)) EXPECT_GT(step.start_ns, 0);
        for (const auto& solve : several->solves(sample))
          EXPECT_STREQ(solve.result.solved_by, "cim:emulated");
      }
    }
  }
}

TEST_F(Engine, SamplesInFlightThroughTheCApi) {
  EmulatorProcess emulator;
  const std::string uri = emulator.uri("?reads=1&timeout_ms=60000");
  qama_model* model = nullptr;
  ASSERT_EQ(qama_model_from_memory(held.bytes.data(), held.bytes.size(), &model), 0)
      << qama_last_error();
  qama_session_options options;
  qama_session_options_init(&options);
  options.max_batch = kBatch;
  options.device = uri.c_str();
  options.fallback = "never";
  std::vector<float> expected;
  for (const std::int32_t in_flight : {1, 4}) {
    options.in_flight = in_flight;
    qama_session* session = nullptr;
    ASSERT_EQ(qama_session_create(model, &options, &session), 0) << qama_last_error();
    ASSERT_EQ(qama_session_classify_u8(session, pixels.data(), kBatch, logits.data()), 0)
        << qama_last_error();
    EXPECT_STREQ(qama_session_solved_by(session, kBatch - 1, 0), "cim:emulated");
    if (expected.empty()) expected = logits;
    EXPECT_EQ(logits, expected) << in_flight;
    qama_session_destroy(session);
  }
  qama_model_close(model);
}

// A machine that takes a known time for a job: with four in flight a job waits for three others,
// with one for nobody.
TEST_F(Engine, FourJobsWaitAtTheMachine) {
  TempDir dir;
  std::ofstream(dir.file("config.json")) << R"({"round_trip_ns": 2500000, "round_trips": 8})";
  EmulatorProcess emulator({"--config", dir.file("config.json"), "--pace"});
  for (const std::int32_t in_flight : {1, 4}) {
    SessionOptions options{.max_batch = kBatch};
    options.device = emulator.uri("?reads=1&timeout_ms=60000");
    options.fallback = runtime::FallbackPolicy::never;
    options.in_flight = in_flight;
    auto made = session(options);
    ASSERT_NE(made, nullptr);
    ASSERT_OK(made->run_u8(pixels, kBatch, logits));
    std::vector<double> queued;
    for (std::int32_t sample = 0; sample < kBatch; ++sample) {
      for (const auto& solve : made->solves(sample)) queued.push_back(solve.result.timing.queue_us);
    }
    std::sort(queued.begin(), queued.end());
    const double median = queued[queued.size() / 2];
    if (in_flight == 1) {
      EXPECT_LT(median, 20'000);
    } else {
      EXPECT_GT(median, 30'000) << "jobs of 20 ms: three at least are in the queue";
    }
  }
}

TEST_F(Engine, AMachineThatIsDownWhenItIsOpened) {
  EmulatorProcess emulator;
  const std::string uri = emulator.uri("?reads=1");
  emulator.kill_now();
  SessionOptions options{.max_batch = kBatch};
  options.device = uri;
  options.in_flight = 4;
  options.fallback = runtime::FallbackPolicy::never;
  EXPECT_ERROR(device_unavailable, Session::create(held.model, options));
  options.fallback = runtime::FallbackPolicy::error;
  auto made = session(options);
  ASSERT_NE(made, nullptr);
  EXPECT_FALSE(hal::why_not_reached(*made->device()).empty());
  ASSERT_OK(made->run_u8(pixels, kBatch, logits));
  for (std::int32_t sample = 0; sample < kBatch; ++sample) {
    for (const auto& solve : made->solves(sample)) {
      EXPECT_TRUE(std::string_view(solve.result.solved_by).starts_with("cpu:"))
          << solve.result.solved_by;
      EXPECT_NE(solve.result.fallback, FallbackReason::none);
      EXPECT_EQ(error_name(solve.result.device_error), "DEVICE_UNAVAILABLE");
    }
  }
  // It comes up, and takes over without anybody's doing.
  emulator.restart();
  bool back = false;
  for (int i = 0; i < 200 && !back; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ASSERT_OK(made->run_u8(pixels, kBatch, logits));
    back = std::string_view(made->solves(kBatch - 1)[0].result.solved_by) == "cim:emulated";
  }
  EXPECT_TRUE(back);
  EXPECT_TRUE(hal::why_not_reached(*made->device()).empty());
}

// What will not mend itself is an error, whatever stands behind it.
TEST_F(Engine, AWrongAddressIsNoOutage) {
  SessionOptions options;
  for (const char* uri :
       {"cim://127.0.0.1", "cim://192.0.2.1:7010", "cims://127.0.0.1:7010", "nothing:"}) {
    options.device = uri;
    EXPECT_FALSE(Session::create(held.model, options).ok()) << uri;
  }
}

TEST_F(Engine, NothingIsAllocatedInTheSteadyState) {
  if (QAMA_COUNTS_MALLOC == 0) GTEST_SKIP() << "SKIPPED: malloc belongs to the sanitizer here";
  EmulatorProcess emulator;
  for (const char* encoding : {"block", "dense"}) {
    const auto device = hal::open_device(
        emulator.uri(std::string("?reads=1&timeout_ms=60000&encoding=") + encoding));
    ASSERT_OK(device);
    const auto solver = device.value()->compile({8, 49});
    ASSERT_OK(solver);
    const auto layer = random_layer(8, 49, 1);
    std::vector<std::uint64_t> spins(8);
    hal::SolveResult result;
    const auto work = [&](int jobs) {
      bool ok = true;
      for (int i = 0; i < jobs; ++i)
        ok = solver.value()->solve(layer.problem(), {}, spins, result).ok() && ok;
      for (int i = 0; i < jobs; ++i) {
        if (i >= 4) ok = solver.value()->wait(i % 4, spins, result).ok() && ok;
        ok = solver.value()->submit(i % 4, layer.problem(), {}).ok() && ok;
      }
      for (int i = 0; i < 4; ++i) ok = solver.value()->wait(i, spins, result).ok() && ok;
      return ok;
    };
    ASSERT_TRUE(work(8));
    AllocationCounter allocations;
    const bool ok = work(100);
    EXPECT_EQ(allocations.count(), 0) << encoding;
    EXPECT_TRUE(ok);
  }
}

TEST(CimProfile, MeasuredAndModelledSideBySideWithACpu) {
  EmulatorProcess emulator;
  TempDir dir;
  const std::string command = std::string(QAMA_PROGRAM) + " profile -q --json -m " +
                              source_path("weights/models/mnist-qama.safetensors").string() +
                              " --device cpu: --device '" + emulator.uri("?reads=1") +
                              "' --runs 8 --warm-up 2 --batch 8 --csv " + dir.file("runs.csv") +
                              " --html " + dir.file("page.html") + " --trace " +
                              dir.file("trace.json") + " > " + dir.file("out");
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::ifstream stream(dir.file("out"));
  const auto report = nlohmann::json::parse(stream, nullptr, false);
  ASSERT_TRUE(report.is_object());
  ASSERT_EQ(report["devices"].size(), 2U);
  const auto& cpu = report["devices"][0];
  const auto& cim = report["devices"][1];
  EXPECT_EQ(cpu["is_emulated"], false);
  EXPECT_EQ(cpu["link"]["modelled"], false);
  EXPECT_EQ(cim["is_emulated"], true);
  EXPECT_EQ(cim["name"], "emulated CPQC-550, preset assumed");
  EXPECT_EQ(cim["link"]["modelled"], true);
  EXPECT_EQ(cim["link"]["modelled_fields"],
            (nlohmann::json{"program_us", "anneal_us", "readout_us"}));
  EXPECT_NEAR(cim["link"]["anneal_us"].get<double>(), 162, 1e-6);
  for (const char* part : {"quantise_us", "encode_us", "send_us", "network_us", "program_us",
                           "readout_us", "verify_us"}) {
    EXPECT_GT(cim["link"][part], 0) << part;
    EXPECT_EQ(cpu["link"][part], 0) << part;
  }
  EXPECT_EQ(cim["solver"]["solved_by"]["cim:emulated"], 16);
  EXPECT_EQ(cim["throughput"]["in_flight"], 4);
  // Both gaps are to the same reference; eight bits and noise cost something, but not much.
  EXPECT_LT(cpu["solver"]["gap"], 0.01);
  EXPECT_LT(cim["solver"]["gap"], 0.1);
  // The projection: this link, then two rates in two forms; a sum of its columns.
  ASSERT_EQ(report["projection"].size(), 5U);
  for (const auto& line : report["projection"]) {
    EXPECT_NEAR(
        line["sum_projected_us"].get<double>(),
        line["host_measured_us"].get<double>() + line["link_software_measured_us"].get<double>() +
            line["wire_computed_us"].get<double>() + line["machine_modelled_us"].get<double>(),
        1e-6);
  }
  // CSV: every figure is measured or modelled, never both, never neither.
  std::ifstream csv(dir.file("runs.csv"));
  std::string line;
  std::getline(csv, line);
  int modelled = 0;
  while (std::getline(csv, line)) {
    const std::size_t last = line.rfind(',');
    const std::size_t before = line.rfind(',', last - 1);
    const bool has_measured = last > before + 1;
    const bool has_modelled = last + 1 < line.size();
    EXPECT_NE(has_measured, has_modelled) << line;
    modelled += has_modelled ? 1 : 0;
  }
  EXPECT_EQ(modelled, 8 * 2 * 3);
  // The trace has a track of its own for what nobody measured.
  std::ifstream trace_file(dir.file("trace.json"));
  const auto trace = nlohmann::json::parse(trace_file, nullptr, false);
  ASSERT_TRUE(trace.is_object());
  for (const auto& event : trace["traceEvents"]) {
    if (event["ph"] == "X") {
      EXPECT_EQ(event["tid"] == 2, event["cat"] == "modelled") << event.dump();
    }
  }
}

}  // namespace
}  // namespace qama::test
