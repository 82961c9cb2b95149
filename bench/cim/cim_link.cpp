// cim_link: overhead of a sample over the link on loopback, block form against dense form: bytes, host-side work
// (quantise, encode, verify), round trip without annealing (a machine configured with no round trips of its ring; its own
// computing is taken off), sequential and pipelined throughput. One JSON object on stdout.
//
//   cim_link [JOBS] [HEADS TOKENS]      default 2000 jobs of 8 x 49
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "hal/device.h"
#include "hal/problem_builder.h"

namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;
using namespace qama;

// The emulator for the length of a scope.
class Emulator {
 public:
  explicit Emulator(const std::string& config) {
    const std::string command = std::string(QAMA_EMULATOR) + " --config " + config;
    pipe_ = ::popen(command.c_str(), "r");
    char line[4096] = {};
    if (pipe_ == nullptr || std::fgets(line, sizeof line, pipe_) == nullptr) return;
    const Json said = Json::parse(line, nullptr, false);
    if (!said.is_object()) return;
    port = said.value("port", 0);
    pid_ = said.value("pid", 0);
  }
  ~Emulator() {
    if (pid_ > 0) ::kill(pid_, SIGTERM);
    if (pipe_ != nullptr) ::pclose(pipe_);
  }
  Emulator(const Emulator&) = delete;
  Emulator& operator=(const Emulator&) = delete;
  int port = 0;

 private:
  std::FILE* pipe_ = nullptr;
  pid_t pid_ = 0;
};

Json percentiles(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double p) { return values[static_cast<std::size_t>(p * static_cast<double>(values.size() - 1))]; };
  return {{"p50", at(0.5)}, {"p90", at(0.9)}, {"p99", at(0.99)}};
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "cim_link: error: %s\n", what.c_str());
  std::exit(1);
}

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) fail(std::string(error_name(result.error().code)) + ": " + result.error().message);
  return std::move(result).value();
}
void must(const Status& status) {
  if (!status.ok()) fail(std::string(error_name(status.error().code)) + ": " + status.error().message);
}

}  // namespace

int main(int argc, char** argv) {
  const int jobs = argc > 1 ? std::max(std::atoi(argv[1]), 16) : 2000;
  const hal::ProblemShape shape{argc > 3 ? std::atoi(argv[2]) : 8, argc > 3 ? std::atoi(argv[3]) : 49};
  must(hal::validate_shape(shape));
  auto buffer = must(hal::ProblemBuffer::create(shape));
  const auto n = static_cast<std::size_t>(shape.tokens);
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> couplings(static_cast<std::size_t>(shape.heads) * n * n);
  std::vector<float> fields(static_cast<std::size_t>(shape.heads) * n);
  for (std::size_t t = 0; t < static_cast<std::size_t>(shape.heads); ++t) {
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = i + 1; j < n; ++j) {
        couplings[(t * n + i) * n + j] = couplings[(t * n + j) * n + i] = normal(random);
      }
      fields[t * n + i] = 0.16F * static_cast<float>(n) * normal(random);
    }
  }
  const float lambda = shape.heads > 1 ? 0.638F * static_cast<float>(n) / static_cast<float>(shape.heads - 1) : 0.0F;
  must(buffer.build(shape, couplings.data(), shape.tokens, fields.data(), shape.tokens, lambda));

  char config[] = "/tmp/cim_link-XXXXXX";
  const int fd = ::mkstemp(config);
  if (fd < 0) fail("no temporary file");
  ::close(fd);
  std::ofstream(config) << R"({"name": "no annealing", "round_trips": 0})";
  const Emulator emulator(config);
  ::unlink(config);
  if (emulator.port == 0) fail("the emulator did not start");

  Json out = {{"bench", "cim_link"}, {"jobs", jobs}, {"heads", shape.heads}, {"tokens", shape.tokens}, {"seed", 1},
              {"compiler", __VERSION__}, {"peer", "cpqc-emulator on loopback, round_trips 0"}, {"is_emulated", true}};
  std::vector<std::uint64_t> spins(static_cast<std::size_t>(shape.heads) * hal::words_per_head(shape.tokens));
  for (const char* encoding : {"block", "dense"}) {
    auto device = must(hal::open_device("cim://127.0.0.1:" + std::to_string(emulator.port) + "?encoding=" + encoding));
    auto solver = must(device->compile(shape));
    hal::SolveResult result;
    std::vector<double> host, quantise, encode, verify, send, round_trip, total;
    const int warm_up = jobs / 10;
    const Clock::time_point sequential = Clock::now();
    for (int job = -warm_up; job < jobs; ++job) {
      must(solver->solve(buffer.problem(), {}, spins, result));
      if (job < 0) continue;
      const hal::SolveTiming& t = result.timing;
      quantise.push_back(t.quantise_us);
      encode.push_back(t.encode_us);
      verify.push_back(t.verify_us);
      send.push_back(t.send_us);
      host.push_back(t.quantise_us + t.encode_us + t.verify_us);
      round_trip.push_back(t.network_us);
      total.push_back(t.total_us);
    }
    const double sequential_s = std::chrono::duration<double>(Clock::now() - sequential).count();
    const int slots = solver->max_in_flight();
    const Clock::time_point pipelined = Clock::now();
    for (int job = 0; job < jobs + slots; ++job) {
      if (job >= slots) must(solver->wait((job - slots) % slots, spins, result));
      if (job < jobs) must(solver->submit(job % slots, buffer.problem(), {}));
    }
    const double pipelined_s = std::chrono::duration<double>(Clock::now() - pipelined).count();
    const auto spins_count = static_cast<std::size_t>(shape.spins());
    out[encoding] = {{"problem_bytes", std::string(encoding) == "block"
                                           ? 2 * spins_count + static_cast<std::size_t>(shape.heads) * n * (n - 1) / 2
                                           : spins_count * (spins_count + 1) / 2},
                     {"quantise_us", percentiles(quantise)},
                     {"encode_us", percentiles(encode)},
                     {"verify_us", percentiles(verify)},
                     {"send_us", percentiles(send)},
                     {"host_us", percentiles(host)},
                     {"host_target_us", 30},
                     {"round_trip_us", percentiles(round_trip)},
                     {"round_trip_target_us", 60},
                     {"total_us", percentiles(total)},
                     {"sequential_jobs_per_s", (jobs + warm_up) / sequential_s},
                     {"in_flight", slots},
                     {"pipelined_jobs_per_s", jobs / pipelined_s},
                     {"checksum", result.energy}};
  }
  std::printf("%s\n", out.dump(1).c_str());
  return 0;
}
