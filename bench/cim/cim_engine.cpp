// cim_engine: samples a second of whole inferences with 1 to 8 samples in flight on a thread,
// against an emulator that holds every answer back until its modelled machine would have it
// (--pace). What a job waits at the machine (queue) shows how many are there. One JSON object on
// stdout.
//
//   cim_engine MODEL [SAMPLES]      default 256 samples a line, batches of 64
#include <chrono>
#include <random>

#include "bench/cim/emulator.h"
#include "bench/measure.h"
#include "runtime/engine/session.h"

int main(int argc, char** argv) {
  using namespace qama;
  using Clock = std::chrono::steady_clock;
  using bench::Json;
  using bench::must;
  constexpr std::int32_t kBatch = 64;
  const char* usage = "cim_engine MODEL [SAMPLES]";
  if (argc < 2) bench::fail(std::string("usage: ") + usage);
  const int rounds = std::max(bench::number_at(argc, argv, 2, 256, usage) / kBatch, 1);
  const auto model = must(runtime::Model::open(argv[1]));
  const weights::Architecture& a = model->architecture();
  if (!a.is_qama() || !a.is_image()) bench::fail("expected an image model with QAMA attention");
  std::mt19937_64 random(1);
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(kBatch) * model->input_pixels());
  for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(random());
  std::vector<float> logits(static_cast<std::size_t>(kBatch) *
                            static_cast<std::size_t>(model->classes()));

  Json out = {{"bench", "cim_engine"},
              {"model", argv[1]},
              {"model_sha256", model->file().sha256()},
              {"batch", kBatch},
              {"rounds", rounds},
              {"threads", 1},
              {"seed", 1},
              {"provenance", bench::provenance()},
              {"is_emulated", true}};
  // The emulator computes a read of 200 round trips in about a millisecond, far above the 162 us of
  // its preset "assumed". So the ring has 20 round trips here: the answers are bad, the times are
  // those of the preset.
  const bench::Emulator emulator(R"({"round_trips": 20, "round_trip_ns": 8100})", "--pace");
  Json lines = Json::array();
  for (const std::int32_t in_flight : {1, 2, 3, 4, 8}) {
    runtime::SessionOptions options;
    options.max_batch = kBatch;
    options.in_flight = in_flight;
    options.device = emulator.uri("?reads=1");
    options.fallback = runtime::FallbackPolicy::never;
    const auto session = must(runtime::Session::create(model, options));
    must(session->run_u8(pixels, kBatch, logits));
    std::vector<double> rates, queue, machine;
    double checksum = 0;
    for (int round = 0; round < rounds; ++round) {
      const auto start = Clock::now();
      must(session->run_u8(pixels, kBatch, logits));
      rates.push_back(kBatch / std::chrono::duration<double>(Clock::now() - start).count());
      for (std::int32_t sample = 0; sample < kBatch; ++sample) {
        for (const auto& solve : session->solves(sample)) {
          const hal::SolveTiming& t = solve.result.timing;
          queue.push_back(t.queue_us);
          machine.push_back(t.program_us + t.anneal_us + t.readout_us);
          checksum += solve.energy;
        }
      }
    }
    const double device_us = bench::quantile(machine, 0.5);
    lines.push_back(
        {{"in_flight", in_flight},
         {"samples_per_s_p50", bench::quantile(rates, 0.5)},
         {"jobs_per_s_p50", bench::quantile(rates, 0.5) * session->plan().qama_layers()},
         {"queue_us_p50", bench::quantile(queue, 0.5)},
         {"machine_us_p50_modelled", device_us},
         {"bound_samples_per_s", 1e6 / (device_us * session->plan().qama_layers())},
         {"arena_bytes", session->plan().arena_bytes()},
         {"checksum", checksum}});
  }
  out["lines"] = std::move(lines);
  std::printf("%s\n", out.dump(1).c_str());
  return 0;
}
