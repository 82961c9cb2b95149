// annealer_targets: the table of the annealer's targets, target beside figure, each beside a
// textbook annealer in the same run. --help lists the options; bench/README.md says in which order
// to use them. To add a row: see rows.h.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "bench/layer_pass.h"
#include "bench/rows.h"
#include "bench/tuning.h"
#include "hal/search/best_known.h"
#include "hal/text/formats.h"

namespace qama::bench {
namespace {

Status prepare(Context& context) {
  for (const InstanceClass& of : kInstanceClasses) {
    const int count = of.heads == 1 ? 1 : context.options.instances;
    for (const std::uint64_t first : {kFirstTuningSeed, context.options.first_seed}) {
      QAMA_RETURN_IF_ERROR(layers_of(context, of, first, count));
      context.best_known->save();
    }
    std::fprintf(stderr, "prepared %s\n", std::string(of.name).c_str());
  }
  for (const std::string& directory : context.options.instance_directories) {
    QAMA_RETURN_IF_ERROR(layers_of_directory(context, directory));
    context.best_known->save();
  }
  return {};
}

/// The reported layers as files in the qama text format, CLASS_sSEED.txt.
Status write_layers(const Context& context) {
  std::error_code error;
  std::filesystem::create_directories(context.options.write, error);
  for (const InstanceClass& of : kInstanceClasses) {
    for (int k = 0; k < (of.heads == 1 ? 1 : context.options.instances); ++k) {
      const hal::ProblemFile problem{
          .layer = instance(of, context.options.first_seed + static_cast<std::uint64_t>(k)),
          .graph = {}};
      const std::string path = context.options.write + "/" + problem.layer.name + ".txt";
      std::ofstream stream(path, std::ios::binary);
      stream << hal::to_text(problem);
      if (!stream.flush())
        return Error{ErrorCode::io_error, "file '" + path + "' cannot be written"};
    }
  }
  return {};
}

Status tune(Context& context) {
  const bool quick = context.options.quick;
  const auto wanted = [&](const std::string& name) {
    const auto& only = context.options.only;
    return only.empty() || std::find(only.begin(), only.end(), name) != only.end();
  };
  const auto keep = [&]() -> Status {
    if (!context.parameters.write(
            context.options.parameters,
            "made by: annealer_targets --tune (tuning seeds from 100001; reported: 200001)")) {
      return Error{ErrorCode::io_error,
                   "file '" + context.options.parameters + "' cannot be written"};
    }
    context.best_known->save();
    return {};
  };
  for (const InstanceClass& of : kInstanceClasses) {
    if (!wanted(std::string(of.name))) continue;
    if (of.heads > 1) {
      QAMA_ASSIGN_OR_RETURN(const auto layers,
                            layers_of(context, of, kFirstTuningSeed, quick ? 4 : 40));
      QAMA_RETURN_IF_ERROR(tune_layers(std::string(of.name), layers, fixed_budget_us(of.name),
                                       *context.device, quick, context.parameters));
    } else {
      QAMA_ASSIGN_OR_RETURN(const auto pass, FactorPass::create(of, *context.device));
      std::vector<PassData> inputs;
      std::vector<double> best;
      for (int k = 0; k < (quick ? 2 : 5); ++k) {
        inputs.push_back(pass_data(of, kFirstTuningSeed + static_cast<std::uint64_t>(k)));
        QAMA_ASSIGN_OR_RETURN(const Layer layer,
                              make_layer(inputs.back().real, *context.best_known, *context.device));
        best.push_back(layer.best);
      }
      const auto run = [&](const hal::Schedule& parameters, int k) -> Result<TimedRun> {
        const std::size_t which = static_cast<std::size_t>(k) % inputs.size();
        PassTimes times;
        QAMA_RETURN_IF_ERROR(
            pass->run(inputs[which],
                      hal::SolveOptions{parameters, static_cast<std::uint64_t>(k) + 1}, times));
        const double energy = hal::energy_of(inputs[which].real, pass->spins());
        return TimedRun{times.total_us(), hal::is_within(energy, best[which], kGap)};
      };
      QAMA_RETURN_IF_ERROR(tune_factors(std::string(of.name), run, quick, context.parameters));
    }
    QAMA_RETURN_IF_ERROR(keep());
  }
  for (const PublicTarget& target : kPublicTargets) {
    if (!wanted(target.file)) continue;
    const auto build = public_problem(context, target.tuned_on);
    if (!build.ok()) {
      std::fprintf(stderr, "not tuned: %s\n", build.error().message.c_str());
      continue;
    }
    QAMA_RETURN_IF_ERROR(tune_target(target.file, build->buffer.problem(), -target.tuning_cut,
                                     *context.device, quick, context.parameters));
    QAMA_RETURN_IF_ERROR(keep());
  }
  for (const std::string& directory : context.options.instance_directories) {
    QAMA_ASSIGN_OR_RETURN(auto groups, layers_of_directory(context, directory));
    for (auto& [name, layers] : groups) {
      std::vector<Layer> some;
      for (std::size_t k = 0; k < layers.size(); ++k) {
        if (tunes(name, k)) some.push_back(std::move(layers[k]));
      }
      if (some.empty()) continue;
      QAMA_RETURN_IF_ERROR(tune_layers(name, some, 0, *context.device, quick, context.parameters));
    }
    QAMA_RETURN_IF_ERROR(keep());
  }
  return {};
}

/// Generated classes beside the shared files: best energy per spin and the mean cost of a single
/// flip.
Status check_generator(Context& context) {
  Table table({"class", "origin", "layers", "best energy: mean [lowest, highest]",
               "mean single-flip cost"});
  const auto line = [&](const std::string& name, const std::string& origin,
                        std::vector<Layer>& layers) -> Status {
    if (layers.front().real.tokens > 64) return {};
    std::vector<double> best;
    double flips = 0;
    QAMA_ASSIGN_OR_RETURN(const auto solver,
                          context.device->compile(layers.front().integers().shape));
    Checksum ignored;
    for (const Layer& layer : layers) {
      QAMA_ASSIGN_OR_RETURN(const Series series,
                            solve_series(*solver, layer, {200, 16, 0.3F, 0.03F}, 5, 1, ignored));
      best.push_back(series.best);
      flips += series.mean_single_flip / static_cast<double>(layers.size());
    }
    double mean = 0;
    for (const double energy : best) mean += energy / static_cast<double>(best.size());
    table.add(
        {name, origin, std::to_string(layers.size()),
         figure(mean) + " [" + figure(quantile(best, 0)) + ", " + figure(quantile(best, 1)) + "]",
         figure(flips)});
    return {};
  };
  std::map<std::string, std::vector<Layer>> files;
  auto found = layers_of_directory(context, context.options.shared + "/instances/qama");
  if (found.ok()) files = std::move(*found);
  for (const InstanceClass& of : kInstanceClasses) {
    if (of.heads == 1) continue;
    QAMA_ASSIGN_OR_RETURN(
        auto layers, layers_of(context, of, context.options.first_seed, context.options.instances));
    QAMA_RETURN_IF_ERROR(line(std::string(of.name), "generated", layers));
    const auto file = files.find(std::string(of.name));
    if (file != files.end()) QAMA_RETURN_IF_ERROR(line(file->first, "file", file->second));
  }
  std::printf("%s", table.text().c_str());
  return {};
}

struct NamedRow {
  const char* id;
  Status (*measure)(Context&);
};
constexpr NamedRow kRows[] = {{"A1", row_a1},   {"A2", row_a2},   {"A3", row_a3},
                              {"A4", row_a4},   {"A5", row_a5},   {"A6", row_a6},
                              {"A7", row_a7},   {"A8", row_a8},   {"A9", row_a9},
                              {"A10", row_a10}, {"A11", row_a11}, {"graph", row_graphs}};

Status print_targets(Context& context, const std::string& from, int cpu) {
  const auto& only = context.options.only;
  for (const NamedRow& row : kRows) {
    if (only.empty() || std::find(only.begin(), only.end(), row.id) != only.end()) {
      QAMA_RETURN_IF_ERROR(row.measure(context));
    }
    context.best_known->save();
  }
  QAMA_RETURN_IF_ERROR(rows_of_directories(context));
  context.best_known->save();
  Table table({"#", "what", "target", "measured", "met", "textbook", "ratio", "how"});
  for (const Row& row : context.rows) {
    table.add(
        {row.id, row.what, row.target, row.measured, row.met, row.textbook, row.ratio, row.note});
  }
  std::printf(
      "%sthreads   1, pinned to CPU %d\ndevice    %s: %s\nseeds     layers from %llu (tuned on "
      "%llu), solves from "
      "1000\nlayers    %d a class, %d solves each, textbook %d; best-known energies improved while "
      "measuring: %d\nclock     %s%s\n\n%s",
      from.c_str(), cpu, context.device->info().uri.c_str(), context.device->info().detail.c_str(),
      static_cast<unsigned long long>(context.options.first_seed),
      static_cast<unsigned long long>(kFirstTuningSeed), context.options.instances,
      context.options.solves, context.textbook_solves(), context.best_known->improvements(),
      context.options.cpu_time ? "CPU time of the thread" : "wall time",
      context.options.quick ? "\nQUICK RUN: not for reporting" : "", table.text().c_str());
  return {};
}

int run(int argc, char** argv) {
  Context context;
  Options& o = context.options;
  CLI::App app{
      "The table of the annealer's targets, each beside a textbook annealer in the same run"};
  app.add_flag("--prepare", o.prepare,
               "only make the best-known energies of all instances (long runs, cached)");
  app.add_flag("--tune", o.tune,
               "only search parameters on the tuning instances; --only takes class names then");
  app.add_option("--write", o.write,
                 "only write the reported layers into this directory, in the qama format");
  app.add_flag("--check-generator", o.check_generator,
               "only compare generated layers with the shared files");
  app.add_flag("--quick", o.quick, "few instances and solves, to see that everything runs");
  app.add_flag("--cpu-time", o.cpu_time,
               "measure the thread's CPU time, for a machine that is busy otherwise");
  app.add_option("--only", o.only, "rows to measure: A1 .. A11, graph")->delimiter(',');
  app.add_option("--instances", o.instance_directories,
                 "directories of layers in the qama format, measured too");
  app.add_option("--device", o.device, "device URI");
  app.add_option("--shared", o.shared, "directory that holds instances/");
  app.add_option("--cache", o.cache, "file of best-known energies");
  app.add_option("--parameters", o.parameters, "file of tuned parameters");
  app.add_option("--first-seed", o.first_seed,
                 "of the layers that are measured; not 200001: figures are not the reported ones");
  auto* count =
      app.add_option("--count", o.instances, "instances a class")->check(CLI::Range(1, 10000));
  auto* solves = app.add_option("--solves", o.solves, "independent solves an instance")
                     ->check(CLI::Range(1, 1000000));
  app.add_option("--cpu", o.cpu, "CPU to run on; negative: the last one allowed");
  CLI11_PARSE(app, argc, argv);
  if (o.quick && count->count() == 0) o.instances = 3;
  if (o.quick && solves->count() == 0) o.solves = 100;

  const int cpu = pin_thread(o.cpu);
  const std::string from = provenance();
  use_clock(o.cpu_time ? ClockKind::cpu : ClockKind::wall);
  auto device = hal::open_device(o.device);
  if (!device.ok()) {
    std::fprintf(stderr, "annealer_targets: %s\n", device.error().message.c_str());
    return 1;
  }
  context.device = *device;
  context.parameters = ParameterTable::read(o.parameters);
  context.best_known = std::make_unique<BestKnown>(o.cache);
  const Status status = !o.write.empty()    ? write_layers(context)
                        : o.prepare         ? prepare(context)
                        : o.tune            ? tune(context)
                        : o.check_generator ? check_generator(context)
                                            : print_targets(context, from, cpu);
  context.best_known->save();
  if (!status.ok()) {
    std::fprintf(stderr, "annealer_targets: %s\n", status.error().message.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace qama::bench

int main(int argc, char** argv) {
  return qama::bench::run(argc, argv);
}
