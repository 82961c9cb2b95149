// cim_pool: jobs a second through one paced machine and through pools of them, on loopback. The
// machines are emulators that hold every answer back until the modelled machine would have it: 20
// ms a read, so that the figure is that of the machines and not of this computer's cores. One JSON
// object on stdout.
//
//   cim_pool [JOBS [MACHINES]]      default 300 jobs a run, pools of 1 to 2
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/cim/emulator.h"
#include "bench/measure.h"
#include "hal/device.h"
#include "hal/lower/problem_builder.h"
#include "hal/pool.h"

namespace {

using Clock = std::chrono::steady_clock;
using namespace qama;
using bench::Json;
using bench::must;

constexpr const char* kMachine =
    R"({"name": "20 ms a read", "round_trips": 200, "round_trip_ns": 100000})";
constexpr hal::ProblemShape kShape{4, 20};
constexpr int kLayers = 16;
constexpr int kInFlight = 4;  // of a machine

std::vector<hal::ProblemBuffer> make_layers() {
  std::vector<hal::ProblemBuffer> out;
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  constexpr auto n = static_cast<std::size_t>(kShape.tokens);
  std::vector<float> couplings(kShape.heads * n * n), fields(kShape.heads * n);
  for (int layer = 0; layer < kLayers; ++layer) {
    for (std::size_t t = 0; t < static_cast<std::size_t>(kShape.heads); ++t) {
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = i + 1; j < n; ++j)
          couplings[(t * n + i) * n + j] = couplings[(t * n + j) * n + i] = normal(random);
        fields[t * n + i] = 0.16F * static_cast<float>(n) * normal(random);
      }
    }
    out.push_back(must(hal::ProblemBuffer::create(kShape)));
    must(out.back().build(kShape, couplings.data(), kShape.tokens, fields.data(), kShape.tokens,
                          0.638F * static_cast<float>(n) / (kShape.heads - 1)));
  }
  return out;
}

struct Run {
  double jobs_per_s = 0;
  std::int64_t checksum = 0;  // sum of the energies
  int wrong = 0;
};

Run measure(hal::Device& device, const std::vector<hal::ProblemBuffer>& layers, int jobs) {
  const auto solver = must(device.compile(kShape));
  const int slots = solver->max_in_flight();
  std::vector<std::uint64_t> spins(static_cast<std::size_t>(kShape.heads));
  hal::SolveResult result;
  Run out;
  const auto problem = [&](int job) -> const hal::DenseView& {
    return layers[static_cast<std::size_t>(job % kLayers)].problem();
  };
  // The first round opens connections.
  for (int slot = 0; slot < slots; ++slot) must(solver->submit(slot, problem(slot), {}));
  for (int slot = 0; slot < slots; ++slot) must(solver->wait(slot, spins, result));
  const Clock::time_point start = Clock::now();
  for (int job = 0; job < jobs + slots; ++job) {
    if (job >= slots) {
      must(solver->wait(job % slots, spins, result));
      out.checksum += result.energy;
      out.wrong += result.energy != hal::energy_of(problem(job - slots), spins) ? 1 : 0;
    }
    if (job < jobs) {
      hal::SolveOptions options;
      options.seed = static_cast<std::uint64_t>(job);
      must(solver->submit(job % slots, problem(job), options));
    }
  }
  out.jobs_per_s = jobs / std::chrono::duration<double>(Clock::now() - start).count();
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const char* usage = "cim_pool [JOBS [MACHINES]]";
  const int jobs = std::max(bench::number_at(argc, argv, 1, 300, usage), 16);
  const int most = std::min(bench::number_at(argc, argv, 2, 2, usage), 8);
  const auto layers = make_layers();
  std::vector<std::unique_ptr<bench::Emulator>> machines;
  Json out = {{"bench", "cim_pool"},
              {"jobs", jobs},
              {"heads", kShape.heads},
              {"tokens", kShape.tokens},
              {"seed", 1},
              {"provenance", bench::provenance()},
              {"machine", "cpqc-emulator --pace on loopback, 20 ms a read, one read a job"},
              {"in_flight_a_machine", kInFlight},
              {"is_emulated", true},
              {"pools", Json::array()}};
  double alone = 0;
  std::string hosts;
  for (int count = 1; count <= most; ++count) {
    machines.push_back(std::make_unique<bench::Emulator>(kMachine, "--pace"));
    hosts += (hosts.empty() ? "" : ",") + std::string("127.0.0.1:") +
             std::to_string(machines.back()->port());
    const auto device = must(
        hal::open_device("cim://" + hosts + "?reads=1&in_flight=" + std::to_string(kInFlight)));
    const Run run = measure(*device, layers, jobs);
    if (count == 1) alone = run.jobs_per_s;
    Json shares = Json::array();
    for (const hal::PoolShare& share : hal::pool_shares(*device)) shares.push_back(share.solved);
    out["pools"].push_back({{"machines", count},
                            {"jobs_per_s", run.jobs_per_s},
                            {"times_one", run.jobs_per_s / alone},
                            {"wrong_answers", run.wrong},
                            {"shares", shares},
                            {"checksum", run.checksum}});
  }
  std::printf("%s\n", out.dump(1).c_str());
  return 0;
}
