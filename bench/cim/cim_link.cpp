// cim_link: overhead of a sample over the link on loopback, block form against dense form: bytes,
// host-side work (quantise, encode, verify), round trip without annealing (a machine configured
// with no round trips of its ring; its own computing is taken off), sequential and pipelined
// throughput. One JSON object on stdout.
//
//   cim_link [JOBS] [HEADS TOKENS]      default 2000 jobs of 8 x 49
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "bench/cim/emulator.h"
#include "bench/measure.h"
#include "hal/device.h"
#include "hal/lower/problem_builder.h"

namespace {

using Clock = std::chrono::steady_clock;
using namespace qama;
using bench::Json;
using bench::must;

Json percentiles(const std::vector<double>& values) {
  return {{"p50", bench::quantile(values, 0.5)},
          {"p90", bench::quantile(values, 0.9)},
          {"p99", bench::quantile(values, 0.99)}};
}

}  // namespace

int main(int argc, char** argv) {
  const char* usage = "cim_link [JOBS [HEADS TOKENS]]";
  if (argc == 3) bench::fail(std::string("usage: ") + usage);
  const int jobs = std::max(bench::number_at(argc, argv, 1, 2000, usage), 16);
  const hal::ProblemShape shape{bench::number_at(argc, argv, 2, 8, usage),
                                bench::number_at(argc, argv, 3, 49, usage)};
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
  const float lambda =
      shape.heads > 1 ? 0.638F * static_cast<float>(n) / static_cast<float>(shape.heads - 1) : 0.0F;
  must(buffer.build(shape, couplings.data(), shape.tokens, fields.data(), shape.tokens, lambda));

  const bench::Emulator emulator(R"({"name": "no annealing", "round_trips": 0})");

  Json out = {{"bench", "cim_link"},
              {"jobs", jobs},
              {"heads", shape.heads},
              {"tokens", shape.tokens},
              {"seed", 1},
              {"provenance", bench::provenance()},
              {"peer", "cpqc-emulator on loopback, round_trips 0"},
              {"is_emulated", true}};
  std::vector<std::uint64_t> spins(static_cast<std::size_t>(shape.heads) *
                                   hal::words_per_head(shape.tokens));
  for (const char* encoding : {"block", "dense"}) {
    auto device = must(hal::open_device(emulator.uri(std::string("?encoding=") + encoding)));
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
    Json pipelined = Json::object();
    for (const int slots : {2, 3, 4, solver->max_in_flight()}) {
      const Clock::time_point start = Clock::now();
      for (int job = 0; job < jobs + slots; ++job) {
        if (job >= slots) must(solver->wait((job - slots) % slots, spins, result));
        if (job < jobs) must(solver->submit(job % slots, buffer.problem(), {}));
      }
      pipelined[std::to_string(slots)] =
          jobs / std::chrono::duration<double>(Clock::now() - start).count();
    }
    const auto spins_count = static_cast<std::size_t>(shape.spins());
    out[encoding] = {
        {"problem_bytes",
         std::string(encoding) == "block"
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
        {"pipelined_jobs_per_s_by_in_flight", pipelined},
        {"checksum", result.energy}};
  }
  std::printf("%s\n", out.dump(1).c_str());
  return 0;
}
