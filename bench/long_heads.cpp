// From how many tokens on a layer is better solved on factors than with J built: both, one after
// the other on the same inputs, by number of tokens and heads. What the engine takes from it is
// hal/form.h's first_factors_tokens.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "bench/instances.h"
#include "bench/layer_pass.h"
#include "bench/measure.h"
#include "hal/device.h"
#include "hal/lower/decode.h"

namespace qama::bench {
namespace {

struct Figures {
  std::vector<double> us;
  double energy = 0;
};

template <typename Pass>
Status once(Pass& pass, PassData& data, const hal::SolveOptions& options, Figures& out) {
  PassTimes times;
  QAMA_RETURN_IF_ERROR(pass.run(data, options, times));
  out.us.push_back(times.total_us());
  // Of the first run alone: it costs N^2 D.
  if (options.seed == 1) out.energy += hal::energy_of(data.real, pass.spins());
  return {};
}

struct Case {
  std::int32_t heads, rank, sweeps, restarts;
};
constexpr Case kCases[] = {{1, 64, 0, 1}, {1, 64, 8, 8}, {2, 32, 8, 8}, {8, 16, 8, 8}};

Status measure(hal::Device& device, const std::vector<Case>& cases,
               const std::vector<std::int32_t>& lengths, int layers, int runs) {
  std::printf(
      "| heads x tokens x D | sweeps x restarts | J built, us | factors, us | energy of factors - "
      "of J, %% |\n|---|---|---|---|---|\n");
  for (const Case& c : cases) {
    for (const std::int32_t tokens : lengths) {
      const InstanceClass of{"norm_long", LayerKind::norm, c.heads, tokens, c.rank};
      QAMA_ASSIGN_OR_RETURN(const auto dense, DensePass::create(of, device));
      QAMA_ASSIGN_OR_RETURN(const auto factors, FactorPass::create(of, device));
      hal::SolveOptions options;
      options.schedule.sweeps = c.sweeps;
      options.schedule.restarts = c.restarts;
      options.schedule.t_end = 0.08F;
      Figures of_dense;
      Figures of_factors;
      for (int layer = 0; layer < layers; ++layer) {
        PassData data = pass_data(of, kFirstReportSeed + static_cast<std::uint64_t>(layer));
        for (int run = 0; run < runs; ++run) {
          options.seed = static_cast<std::uint64_t>(run) + 1;
          QAMA_RETURN_IF_ERROR(once(*dense, data, options, of_dense));
          QAMA_RETURN_IF_ERROR(once(*factors, data, options, of_factors));
        }
      }
      std::printf("| %d x %d x %d | %d x %d | %s | %s | %.3f |\n", c.heads, tokens, c.rank,
                  c.sweeps, c.restarts, figure(median(of_dense.us)).c_str(),
                  figure(median(of_factors.us)).c_str(),
                  100 * (of_factors.energy - of_dense.energy) / std::fabs(of_dense.energy));
      std::fflush(stdout);
    }
  }
  return {};
}

}  // namespace
}  // namespace qama::bench

int main(int argc, char** argv) {
  CLI::App app{"Layers with J built and on factors, by number of tokens"};
  std::string uri = "cpu:";
  int layers = 3;
  int runs = 10;
  app.add_option("--device", uri, "device URI");
  app.add_option("--layers", layers, "layers a row");
  app.add_option("--runs", runs, "solves a layer");
  std::vector<std::int32_t> lengths{64, 96, 128, 192, 256, 384, 512, 1024};
  std::vector<std::int32_t> ranks;
  app.add_option("--tokens", lengths, "lengths of the heads")->check(CLI::Range(1, 1 << 13));
  app.add_option(
         "--ranks", ranks,
         "instead of the usual heads: one, of these dimensions, by short and long schedules")
      ->check(CLI::Range(1, 1 << 10));
  CLI11_PARSE(app, argc, argv);
  std::vector<qama::bench::Case> cases(std::begin(qama::bench::kCases),
                                       std::end(qama::bench::kCases));
  if (!ranks.empty()) cases.clear();
  for (const std::int32_t rank : ranks) {
    for (const auto& [sweeps, restarts] : {std::pair{0, 1}, {3, 2}, {8, 8}})
      cases.push_back({1, rank, sweeps, restarts});
  }
  const auto device = qama::hal::open_device(uri);
  const qama::Status status =
      device.ok() ? qama::bench::measure(**device, cases, lengths, layers, runs) : device.error();
  if (!status.ok()) {
    std::fprintf(stderr, "long_heads: %s\n", status.error().message.c_str());
    return 1;
  }
  return 0;
}
