// annealer_targets: the table of the annealer's targets, target beside figure, each beside a
// textbook annealer in the same run. --help lists the options; bench/README.md says in which order
// to use them. To add a row: a function here and its line in kRows.
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "bench/layer_pass.h"
#include "bench/targets.h"
#include "bench/textbook_sa.h"
#include "bench/tuning.h"
#include "hal/cpu/kernel.h"
#include "hal/search/best_known.h"
#include "hal/text/formats.h"

namespace qama::bench {
namespace {

struct Options {
  bool prepare = false, tune = false, check_generator = false, quick = false, cpu_time = false;
  std::vector<std::string> only;
  std::vector<std::string> instance_directories;
  std::string write;  ///< directory
  std::string device = "cpu:";
  std::string shared = QAMA_SHARED_DIR;
  std::string cache = QAMA_BENCH_CACHE;
  std::string parameters = QAMA_BENCH_DIR "/tuned_parameters.tsv";
  std::uint64_t first_seed = kFirstReportSeed;
  int instances = 20;
  int solves = 1000;
  int cpu = -1;
};

struct Row {
  std::string id, what, target, measured;
  std::string met;       ///< "yes", "no", "-"
  std::string textbook;  ///< the same quantity of the textbook annealer
  std::string ratio;     ///< textbook / measured
  std::string note;
};

/// Everything the rows share. Rows are measured one after the other on one thread.
struct Context {
  Options options;
  std::shared_ptr<hal::Device> device;
  ParameterTable parameters;
  std::unique_ptr<BestKnown> best_known;
  std::vector<Row> rows;

  void add(Row row) {
    std::fprintf(stderr, "%s  %s: %s (target %s)\n", row.id.c_str(), row.what.c_str(),
                 row.measured.c_str(), row.target.c_str());
    rows.push_back(std::move(row));
  }
  [[nodiscard]] int textbook_solves() const { return std::max(20, options.solves / 10); }
};

std::string met(bool yes) {
  return yes ? "yes" : "no";
}
std::string percent(double share) {
  char out[20];
  std::snprintf(out, sizeof(out), "%.2f %%", 100 * share);
  return out;
}

/// The layers of a class, tuning or reporting ones.
Result<std::vector<Layer>> layers_of(Context& context, const InstanceClass& of,
                                     std::uint64_t first_seed, int count) {
  std::vector<Layer> out;
  for (int k = 0; k < count; ++k) {
    QAMA_ASSIGN_OR_RETURN(Layer layer,
                          make_layer(instance(of, first_seed + static_cast<std::uint64_t>(k)),
                                     *context.best_known, *context.device));
    out.push_back(std::move(layer));
  }
  return out;
}

// ---- throughput: A1, A8, A10 --------------------------------------------------------------------

struct Throughput {
  double ns = 0;    ///< a proposal, median of repetitions
  double best = 0;  ///< lowest energy seen, in the problem's integers
  std::string checksum;
};

Result<Throughput> throughput(hal::Device& device, const hal::DenseView& problem,
                              const hal::Schedule& parameters, int repetitions) {
  QAMA_ASSIGN_OR_RETURN(const auto solver, device.compile(problem.shape));
  std::vector<std::uint64_t> spins(
      static_cast<std::size_t>(problem.shape.heads * hal::words_per_head(problem.shape.tokens)));
  std::vector<double> ns;
  double best = 0;
  Checksum checksum;
  for (int k = 0; k < repetitions; ++k) {
    hal::SolveResult result;
    const double start = now_us();
    QAMA_RETURN_IF_ERROR(solver->solve(
        problem, hal::SolveOptions{parameters, static_cast<std::uint64_t>(k) + 1}, spins, result));
    ns.push_back(1000 * microseconds_since(start) / static_cast<double>(result.proposals));
    checksum.add(result.energy);
    best = std::min(best, static_cast<double>(result.energy));
  }
  return Throughput{median(ns), best, checksum.text()};
}

double textbook_ns(const hal::DenseView& problem, hal::Schedule parameters, int repetitions) {
  parameters.restarts = 1;
  TextbookAnnealer annealer(problem);
  std::vector<double> ns;
  for (int k = 0; k < repetitions; ++k) {
    const double start = now_us();
    const TextbookResult result =
        annealer.solve(hal::SolveOptions{parameters, static_cast<std::uint64_t>(k) + 1});
    ns.push_back(1000 * microseconds_since(start) / static_cast<double>(result.proposals));
  }
  return median(ns);
}

constexpr hal::Schedule kLongSchedule{1000, 8, 0.3F, 0.03F};

Status row_a1(Context& context) {
  QAMA_ASSIGN_OR_RETURN(const auto layers, layers_of(context, *find_class("norm_8x49x8"),
                                                     context.options.first_seed, 1));
  const int repetitions = context.options.quick ? 5 : 41;
  QAMA_ASSIGN_OR_RETURN(const Throughput got, throughput(*context.device, layers[0].integers(),
                                                         kLongSchedule, repetitions));
  const double textbook =
      textbook_ns(layers[0].integers(), kLongSchedule, context.options.quick ? 3 : 11);
  context.add({"A1", "ns per proposal, norm 8x49x8, 1000 sweeps", "<= 0.40", figure(got.ns),
               met(got.ns <= 0.40), figure(textbook), figure(textbook / got.ns),
               "checksum " + got.checksum});
  return {};
}

Status row_a8(Context& context) {
  QAMA_ASSIGN_OR_RETURN(const auto build, hal::to_dense(complete_graph(2000, 2000)));
  const hal::Schedule parameters{500, 4, 0.5F, 0.025F};
  QAMA_ASSIGN_OR_RETURN(const Throughput got,
                        throughput(*context.device, build.buffer.problem(), parameters,
                                   context.options.quick ? 1 : 5));
  const double textbook =
      textbook_ns(build.buffer.problem(), parameters, context.options.quick ? 1 : 3);
  context.add({"A8", "ns per proposal, complete +-1 graph, 2000 spins, 500 sweeps", "<= 2.0",
               figure(got.ns), met(got.ns <= 2.0), figure(textbook), figure(textbook / got.ns),
               text_of(parameters) + ": cut " + figure(-got.best) + ", checksum " + got.checksum});
  return {};
}

Status row_a10(Context& context) {
  QAMA_ASSIGN_OR_RETURN(const auto layers, layers_of(context, *find_class("norm_8x49x8"),
                                                     context.options.first_seed, 1));
  std::string note;
  double avx2 = 0;
  double avx512 = 0;
  for (const hal::cpu::Kernel& kernel : hal::cpu::kernels()) {
    if (!kernel.supported()) {
      note += std::string(kernel.name) + " not on this machine, ";
      continue;
    }
    QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device("cpu:" + std::string(kernel.name)));
    const bool slow = kernel.name == "scalar";
    hal::Schedule parameters = kLongSchedule;
    if (slow) parameters.restarts = 1;
    QAMA_ASSIGN_OR_RETURN(const Throughput got,
                          throughput(*device, layers[0].integers(), parameters,
                                     slow || context.options.quick ? 5 : 41));
    if (kernel.name == "avx2") avx2 = got.ns;
    if (kernel.name == "avx512") avx512 = got.ns;
    note += std::string(kernel.name) + " " + figure(got.ns) + " ns, ";
  }
  const bool both = avx2 > 0 && avx512 > 0;
  context.add({"A10", "throughput of AVX2 / AVX-512", ">= 0.6", both ? figure(avx512 / avx2) : "-",
               both ? met(avx512 / avx2 >= 0.6) : "-", "-", "-", note.substr(0, note.size() - 2)});
  return {};
}

// ---- time to solution: A2, moonshot; fixed latency: A3, A4 --------------------------------------

struct ClassFigures {
  double tts50_us = 0, tts99_us = 0, textbook_tts50_us = 0,
         textbook_tts99_us = 0;          ///< medians over layers
  double share = 0, textbook_share = 0;  ///< of all solves, within 0.1 %
  double worst_share = 1;                ///< of the solves of the hardest layer
  double time_us = 0, time_p99_us = 0, textbook_time_us = 0;
  double best_energy = 0, flip_cost = 0;  ///< means over layers
  std::string checksum;
};

Result<ClassFigures> measure_class(Context& context, std::vector<Layer>& layers,
                                   const hal::Schedule& parameters) {
  ClassFigures out;
  QAMA_ASSIGN_OR_RETURN(const auto solver,
                        context.device->compile(layers.front().integers().shape));
  std::vector<double> tts50, tts99, textbook_tts50, textbook_tts99, times, textbook_times;
  Checksum checksum;
  for (Layer& layer : layers) {
    QAMA_ASSIGN_OR_RETURN(Series series, solve_series(*solver, layer, parameters,
                                                      context.options.solves, 1000, checksum));
    Series textbook = textbook_series(layer, parameters, context.textbook_solves(), 1000);
    const double best = std::min(series.best, textbook.best);
    if (best < layer.best) {
      context.best_known->improve(layer.real, best);
      layer.best = best;
    }
    series.best = textbook.best = best;
    const double p = series.share_within(kGap);
    const double textbook_p = textbook.share_within(kGap);
    const double time = median(series.times_us);
    const double textbook_time = median(textbook.times_us);
    tts50.push_back(time_to_solution(time, p, 0.5));
    tts99.push_back(time_to_solution(time, p, 0.99));
    textbook_tts50.push_back(time_to_solution(textbook_time, textbook_p, 0.5));
    textbook_tts99.push_back(time_to_solution(textbook_time, textbook_p, 0.99));
    out.share += p / static_cast<double>(layers.size());
    out.worst_share = std::min(out.worst_share, p);
    out.textbook_share += textbook_p / static_cast<double>(layers.size());
    out.best_energy += best / static_cast<double>(layers.size());
    out.flip_cost += series.mean_single_flip / static_cast<double>(layers.size());
    times.insert(times.end(), series.times_us.begin(), series.times_us.end());
    textbook_times.insert(textbook_times.end(), textbook.times_us.begin(), textbook.times_us.end());
  }
  out.tts50_us = median(tts50);
  out.tts99_us = median(tts99);
  out.textbook_tts50_us = median(textbook_tts50);
  out.textbook_tts99_us = median(textbook_tts99);
  out.time_us = median(times);
  out.time_p99_us = quantile(times, 0.99);
  out.textbook_time_us = median(textbook_times);
  out.checksum = checksum.text();
  return out;
}

/// TTS50 and TTS99 of a class; a target of 0 is none.
Status tts_rows(Context& context, const std::string& id, const std::string& name,
                std::vector<Layer>& layers, double target50, double target99) {
  const std::string size = " (" + std::to_string(layers.size()) + " layers x " +
                           std::to_string(context.options.solves) + ")";
  struct Purpose {
    const char* name;
    const char* label;
    double q, target;
  };
  for (const Purpose& purpose :
       {Purpose{"tts50", "TTS50", 0.5, target50}, {"tts99", "TTS99", 0.99, target99}}) {
    const hal::Schedule parameters = context.parameters.get(name, purpose.name);
    QAMA_ASSIGN_OR_RETURN(const ClassFigures f, measure_class(context, layers, parameters));
    const bool half = purpose.q == 0.5;
    const double got = half ? f.tts50_us : f.tts99_us;
    const double textbook = half ? f.textbook_tts50_us : f.textbook_tts99_us;
    context.add({id, std::string(purpose.label) + " to 0.1 %, us, " + name + size,
                 purpose.target > 0 ? "<= " + figure(purpose.target) : "-", figure(got),
                 purpose.target > 0 ? met(got <= purpose.target) : "-", figure(textbook),
                 figure(textbook / got),
                 text_of(parameters) + ": p " + percent(f.share) + " in " + figure(f.time_us) +
                     " us, checksum " + f.checksum});
  }
  return {};
}

Status row_a2(Context& context) {
  struct Target {
    const char* name;
    double tts50, tts99;
  };
  // The second figure is the moonshot of the issue: TTS99 at 392 spins.
  for (const Target& target :
       {Target{"norm0_8x49x8", 12, 50}, {"norm_8x49x8", 8, 50}, {"norm0_8x64x16", 25, 0}}) {
    QAMA_ASSIGN_OR_RETURN(auto layers,
                          layers_of(context, *find_class(target.name), context.options.first_seed,
                                    context.options.instances));
    QAMA_RETURN_IF_ERROR(tts_rows(context, "A2", target.name, layers, target.tts50, target.tts99));
  }
  return {};
}

Status fixed_row(Context& context, const std::string& id, const std::string& name,
                 std::vector<Layer>& layers, double target_us) {
  const hal::Schedule parameters = context.parameters.get(name, "fixed");
  QAMA_ASSIGN_OR_RETURN(const ClassFigures f, measure_class(context, layers, parameters));
  const bool fast = target_us <= 0 || f.time_us <= target_us;
  context.add({id, "fixed latency: share within 0.1 %, " + name,
               target_us > 0 ? ">= 99 % in <= " + figure(target_us) + " us" : "-",
               percent(f.share) + " in " + figure(f.time_us) + " us",
               target_us > 0 ? met(f.share >= 0.99 && fast) : "-",
               percent(f.textbook_share) + " in " + figure(f.textbook_time_us) + " us",
               figure(f.textbook_time_us / f.time_us),
               text_of(parameters) + ": hardest layer " + percent(f.worst_share) +
                   ", p99 of the time " + figure(f.time_p99_us) + " us, checksum " + f.checksum});
  return {};
}

/// Latencies of A3 and A4, less a twentieth, so that the measured median stays below them.
double fixed_budget_us(std::string_view name) {
  if (name == "norm0_8x49x8" || name == "norm_8x49x8") return 95;
  if (name == "norm0_8x64x16" || name == "norm_8x64x16") return 237;
  return 0;
}

Status row_a3(Context& context) {
  QAMA_ASSIGN_OR_RETURN(auto layers,
                        layers_of(context, *find_class("norm0_8x49x8"), context.options.first_seed,
                                  context.options.instances));
  return fixed_row(context, "A3", "norm0_8x49x8", layers, 100);
}

Status row_a4(Context& context) {
  QAMA_ASSIGN_OR_RETURN(auto layers,
                        layers_of(context, *find_class("norm0_8x64x16"), context.options.first_seed,
                                  context.options.instances));
  return fixed_row(context, "A4", "norm0_8x64x16", layers, 250);
}

// ---- layers end to end: A5, A6, A7 --------------------------------------------------------------

struct PassFigures {
  double total_us = 0, front_us = 0, solve_us = 0, output_us = 0, share = 0;
  std::string checksum;
};

/// Medians over layers and seeds; `share` of the runs ends within 0.1 %.
template <typename Pass>
Result<PassFigures> measure_pass(Context& context, Pass& pass, const InstanceClass& of,
                                 const hal::Schedule& parameters, std::uint64_t first_seed,
                                 int layers, int runs) {
  std::vector<double> total, front, solve, output;
  PassFigures out;
  Checksum checksum;
  for (int k = 0; k < layers; ++k) {
    PassData input = pass_data(of, first_seed + static_cast<std::uint64_t>(k));
    QAMA_ASSIGN_OR_RETURN(const Layer layer,
                          make_layer(input.real, *context.best_known, *context.device));
    for (int run = -2; run < runs; ++run) {
      PassTimes times;
      const hal::SolveOptions options{parameters, static_cast<std::uint64_t>(std::max(run, 0)) + 1};
      QAMA_RETURN_IF_ERROR(pass.run(input, options, times));
      if (run < 0) continue;
      total.push_back(times.total_us());
      front.push_back(times.front_us);
      solve.push_back(times.solve_us);
      output.push_back(times.output_us);
      const double energy = hal::energy_of(input.real, pass.spins());
      context.best_known->improve(input.real, energy);
      checksum.add(std::llround(energy * 1e3));
      if (hal::is_within(energy, layer.best, kGap)) out.share += 1.0 / (layers * runs);
    }
  }
  out.total_us = median(total);
  out.front_us = median(front);
  out.solve_us = median(solve);
  out.output_us = median(output);
  out.checksum = checksum.text();
  return out;
}

std::string parts(const PassFigures& f) {
  return "front " + figure(f.front_us) + ", solve " + figure(f.solve_us) + ", output " +
         figure(f.output_us) + " us; within 0.1 %: " + percent(f.share) + ", checksum " +
         f.checksum;
}

Status row_a5(Context& context) {
  const InstanceClass& of = *find_class("norm0_8x49x8");
  QAMA_ASSIGN_OR_RETURN(const auto pass, DensePass::create(of, *context.device));
  // TTS50 quality: as many restarts as make half of the solves succeed.
  hal::Schedule parameters = context.parameters.get(of.name, "layer");
  PassFigures f;
  for (int repeat = 1;; repeat *= 2) {
    hal::Schedule more = parameters;
    more.restarts *= repeat;
    QAMA_ASSIGN_OR_RETURN(
        f, measure_pass(context, *pass, of, more, context.options.first_seed,
                        std::min(context.options.instances, 20), context.options.quick ? 20 : 100));
    if (f.share >= 0.5 || repeat >= 16) {
      parameters = more;
      break;
    }
  }
  context.add({"A5", "one layer from Q, K, V to the output, us, 8x49x8, TTS50 quality", "<= 40",
               figure(f.total_us), met(f.total_us <= 40 && f.share >= 0.5), "-", "-",
               text_of(parameters) + ": " + parts(f)});
  return {};
}

/// In a process of its own, without the layer's inputs: the growth of the peak of resident memory
/// while `work` runs, in bytes; -1 if it failed. Memory of the parent is not counted.
std::int64_t memory_of(const std::function<bool()>& work) {
  malloc_trim(0);
  int ends[2];
  if (pipe(ends) != 0) return -1;
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    const std::int64_t before = peak_memory();
    std::int64_t grown = work() ? peak_memory() - before : -1;
    const bool written = write(ends[1], &grown, sizeof(grown)) == sizeof(grown);
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  std::int64_t grown = -1;
  if (read(ends[0], &grown, sizeof(grown)) != sizeof(grown)) grown = -1;
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return grown;
}

Status row_a6(Context& context) {
  struct Target {
    const char* name;
    double time_us;
    const char* text;
    double memory;
  };
  for (const Target& target : {Target{"norm0_1x512x64", 100, "<= 100 us", 0},
                               {"norm_1x2048x64", 1000, "<= 1000 us, <= 2 MB", 2e6}}) {
    const InstanceClass& of = *find_class(target.name);
    QAMA_ASSIGN_OR_RETURN(const auto pass, FactorPass::create(of, *context.device));
    const hal::Schedule parameters = context.parameters.get(of.name, "lowrank");
    const int layers = context.options.quick ? 2 : 5;
    const int runs = context.options.quick ? 5 : 40;
    QAMA_ASSIGN_OR_RETURN(
        const PassFigures f,
        measure_pass(context, *pass, of, parameters, context.options.first_seed, layers, runs));
    std::string measured = figure(f.total_us) + " us";
    const auto memory = static_cast<double>(pass->memory_bytes());
    if (target.memory > 0) measured += ", " + figure(memory / 1e6) + " MB";
    std::string note = text_of(parameters) + ": " + parts(f);
    if (of.tokens <= 512) {
      QAMA_ASSIGN_OR_RETURN(const auto dense, DensePass::create(of, *context.device));
      QAMA_ASSIGN_OR_RETURN(
          const PassFigures d,
          measure_pass(context, *dense, of, parameters, context.options.first_seed, layers, runs));
      note += "; with J built: " + figure(d.total_us) + " us (front " + figure(d.front_us) + ")";
    }
    context.add({"A6", std::string("one layer end to end on factors, ") + target.name, target.text,
                 measured,
                 met(f.total_us <= target.time_us &&
                     (target.memory <= 0 || memory <= target.memory) && f.share >= 0.5),
                 "-", "-", note});
  }
  return {};
}

Status row_a7(Context& context) {
  std::vector<double> sizes, times, memories;
  std::string note;
  double largest = 0;
  for (const std::int32_t tokens : {512, 1024, 2048, 4096, 8192, 16384, 32768, 65536}) {
    const InstanceClass of{"norm_long", LayerKind::norm, 1, tokens, 64};
    PassData input = pass_data(of, context.options.first_seed);
    const hal::Schedule parameters{20, 1, 0.3F, 0.03F};
    const auto run = [&](double* time) -> Status {
      QAMA_ASSIGN_OR_RETURN(const auto pass, FactorPass::create(of, *context.device));
      std::vector<double> all;
      for (int k = 0; k < (context.options.quick ? 2 : 5); ++k) {
        PassTimes t;
        QAMA_RETURN_IF_ERROR(pass->run(input, hal::SolveOptions{parameters, 1}, t));
        all.push_back(t.total_us());
      }
      *time = median(all);
      return {};
    };
    // Memory first: what a run leaves in the heap would be used again by the child, and not be
    // counted.
    const auto memory = static_cast<double>(memory_of([&] {
      double ignored = 0;
      return run(&ignored).ok();
    }));
    double time = 0;
    QAMA_RETURN_IF_ERROR(run(&time));
    sizes.push_back(tokens);
    times.push_back(time);
    memories.push_back(memory);
    largest = memory;
    note += std::to_string(tokens) + ": " + figure(time / 1000) + " ms " + figure(memory / 1e6) +
            " MB, ";
  }
  const double time_r2 = straightness(sizes, times);
  const double memory_r2 = straightness(sizes, memories);
  char measured[120];
  std::snprintf(measured, sizeof(measured), "R^2 %.4f (time), %.4f (memory), %.1f MB", time_r2,
                memory_r2, largest / 1e6);
  context.add({"A7", "growth with N at H = 1, D = 64, 20 sweeps, N = 512 .. 65536",
               "R^2 >= 0.99, <= 64 MB", measured,
               met(time_r2 >= 0.99 && memory_r2 >= 0.99 && largest <= 64e6), "-", "-",
               note.substr(0, note.size() - 2)});
  return {};
}

// ---- determinism: A9 ----------------------------------------------------------------------------

Status row_a9(Context& context) {
  std::string first;
  std::string names;
  bool same = true;
  for (const hal::cpu::Kernel& kernel : hal::cpu::kernels()) {
    if (!kernel.supported()) continue;
    QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device("cpu:" + std::string(kernel.name)));
    Checksum checksum;
    for (const char* name :
         {"norm0_8x49x8", "norm_8x49x8", "norm0_8x64x16", "raw_8x49x8", "norm0_1x512x64"}) {
      const InstanceClass& of = *find_class(name);
      QAMA_ASSIGN_OR_RETURN(const auto solver, device->compile({of.heads, of.tokens}));
      for (std::uint64_t seed = 0; seed < (context.options.quick ? 2U : 10U); ++seed) {
        QAMA_ASSIGN_OR_RETURN(const auto layers,
                              layers_of(context, of, context.options.first_seed + seed, 1));
        std::vector<std::uint64_t> spins(
            static_cast<std::size_t>(of.heads * hal::words_per_head(of.tokens)));
        for (const std::int32_t restarts : {1, 3, 8}) {
          hal::SolveResult result;
          QAMA_RETURN_IF_ERROR(solver->solve(
              layers[0].integers(),
              hal::SolveOptions{hal::Schedule{20, restarts, 0.3F, 0.03F}, seed}, spins, result));
          for (const std::uint64_t word : spins) checksum.add(static_cast<std::int64_t>(word));
        }
      }
    }
    const InstanceClass& of = *find_class("norm0_1x512x64");
    QAMA_ASSIGN_OR_RETURN(const auto pass, FactorPass::create(of, *device));
    PassTimes times;
    PassData data = pass_data(of, 1);
    QAMA_RETURN_IF_ERROR(
        pass->run(data, hal::SolveOptions{hal::Schedule{5, 2, 0.3F, 0.03F}, 1}, times));
    for (const std::uint64_t word : pass->spins()) checksum.add(static_cast<std::int64_t>(word));
    if (first.empty()) first = checksum.text();
    same = same && checksum.text() == first;
    names += std::string(kernel.name) + (checksum.text() == first ? " " : " DIFFERS ");
  }
  context.add({"A9", "same spins for the same seed on every kernel", "all", names, met(same), "-",
               "-",
               "checksum " + first + "; NEON: spin_checksum under qemu; threads: test_solver_api"});
  return {};
}

// ---- public instances: A11 ----------------------------------------------------------------------

struct PublicTarget {
  const char* file;
  const char* tuned_on;
  std::int64_t tuning_cut;
  std::int64_t cut;
  double time_ms;
};
constexpr PublicTarget kPublicTargets[] = {{"G1", "G2", 11620, 11624, 20},
                                           {"bqp250-1", "bqp250-2", 44810, 45607, 5}};

Result<hal::DenseBuild> public_problem(const Context& context, const std::string& name) {
  QAMA_ASSIGN_OR_RETURN(const auto file, read_problem_file(context.options.shared +
                                                           "/instances/maxcut/" + name + ".mc"));
  QAMA_ASSIGN_OR_RETURN(auto build, hal::to_dense(file));
  if (!build.decode.exact)
    return Error{ErrorCode::problem_bad_value, name + ": its weights do not fit 16 bits"};
  return build;
}

Status row_a11(Context& context) {
  for (const PublicTarget& target : kPublicTargets) {
    const auto build = public_problem(context, target.file);
    if (!build.ok()) {
      context.add({"A11", std::string(target.file) + " to cut " + std::to_string(target.cut),
                   "<= " + figure(target.time_ms) + " ms", "-", "-", "-", "-",
                   "not run: " + build.error().message});
      continue;
    }
    const hal::DenseView& problem = build->buffer.problem();
    const hal::Schedule parameters = context.parameters.get(target.file, "target");
    QAMA_ASSIGN_OR_RETURN(const auto solver, context.device->compile(problem.shape));
    std::vector<std::uint64_t> spins(
        static_cast<std::size_t>(problem.shape.heads * hal::words_per_head(problem.shape.tokens)));
    std::vector<double> times;
    std::uint64_t seed = 1;
    int missed = 0;
    for (int run = 0; run < (context.options.quick ? 7 : 101); ++run) {
      const double start = now_us();
      hal::SolveResult result;
      do {
        QAMA_RETURN_IF_ERROR(
            solver->solve(problem, hal::SolveOptions{parameters, seed++}, spins, result));
      } while (-result.energy < target.cut && microseconds_since(start) < 5e6);
      if (-result.energy < target.cut) ++missed;
      times.push_back(-result.energy < target.cut ? HUGE_VAL : microseconds_since(start) / 1000);
    }
    TextbookAnnealer textbook(problem);
    std::vector<double> textbook_times;
    for (int run = 0; run < (context.options.quick ? 3 : 21); ++run) {
      const double start = now_us();
      double energy = 0;
      do {
        energy = textbook.solve(hal::SolveOptions{parameters, seed++}).energy;
      } while (-energy < static_cast<double>(target.cut) && microseconds_since(start) < 20e6);
      textbook_times.push_back(
          -energy < static_cast<double>(target.cut) ? HUGE_VAL : microseconds_since(start) / 1000);
    }
    const double time = median(times);
    context.add(
        {"A11",
         std::string(target.file) + " to cut " + std::to_string(target.cut) + ", median run, ms",
         "<= " + figure(target.time_ms), figure(time), met(time <= target.time_ms),
         figure(median(textbook_times)), figure(median(textbook_times) / time),
         text_of(parameters) + "; p90 " + figure(quantile(times, 0.9)) + " ms, " +
             std::to_string(missed) + " of " + std::to_string(times.size()) +
             " gave up after 5 s; tuned on " + target.tuned_on});
  }
  return {};
}

// ---- graphs with few neighbours: no target of the specification ---------------------------------

/// One graph as rows of neighbours, as a matrix (or bit planes), and by the textbook, with one
/// schedule.
Status graph_row(Context& context, const std::string& what, const hal::ProblemFile& file) {
  const hal::Schedule parameters{context.options.quick ? 50 : 500, 32, 0.3F, 0.03F};
  QAMA_ASSIGN_OR_RETURN(const auto rows, hal::to_sparse(file));
  QAMA_ASSIGN_OR_RETURN(const auto sparse,
                        context.device->compile(hal::Workload::of(rows.problem)));
  QAMA_ASSIGN_OR_RETURN(const auto build, hal::to_dense(file));
  const hal::DenseView& problem = build.buffer.problem();
  std::vector<std::uint64_t> spins(static_cast<std::size_t>(hal::words_per_head(file.graph.size)));
  std::vector<double> ns;
  double cut = 0;
  Checksum checksum;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    hal::SolveResult result;
    const double start = now_us();
    QAMA_RETURN_IF_ERROR(
        sparse->solve(rows.problem, hal::SolveOptions{parameters, seed}, spins, result));
    ns.push_back(1000 * microseconds_since(start) / static_cast<double>(result.proposals));
    for (const std::uint64_t word : spins) checksum.add(static_cast<std::int64_t>(word));
    cut = std::max(cut, static_cast<double>(-result.energy));
  }
  QAMA_ASSIGN_OR_RETURN(const Throughput matrix,
                        throughput(*context.device, problem, parameters, 1));
  const double textbook = textbook_ns(problem, parameters, 3);
  context.add({"graph", "ns per proposal, " + what, "-", figure(median(ns)), "-", figure(textbook),
               figure(textbook / median(ns)),
               text_of(parameters) + ": cut " + figure(cut) + ", checksum " + checksum.text() +
                   "; as a matrix " + figure(matrix.ns) + " ns"});
  return {};
}

Status row_graphs(Context& context) {
  QAMA_RETURN_IF_ERROR(
      graph_row(context, "grid of 2 025 spins, +-1, 4 neighbours", toroidal_graph(45, 1)));
  QAMA_RETURN_IF_ERROR(graph_row(context, "random graph, 2 000 spins, 20 neighbours",
                                 random_graph(2000, 20, {1}, 1)));
  return graph_row(context, "random graph, 2 000 spins, 20 neighbours, six weights",
                   random_graph(2000, 20, {-7, -3, 1, 2, 5, 9}, 1));
}

// ---- layers from files --------------------------------------------------------------------------

/// Recorded or shared layers of a directory, in groups of one shape. Best-known energies come from
/// DIR/../best_known.tsv or DIR/best_known.tsv where it lists a file, and from long runs.
Result<std::map<std::string, std::vector<Layer>>> layers_of_directory(
    Context& context, const std::string& directory) {
  std::map<std::string, double> listed;
  for (const std::string& list :
       {directory + "/best_known.tsv", directory + "/../best_known.tsv"}) {
    std::ifstream stream(list);
    for (std::string line; std::getline(stream, line);) {
      std::istringstream words(line);
      std::string name;
      std::string kind;
      double energy = 0;
      if (words >> name >> kind >> energy)
        listed[std::filesystem::path(name).filename().string()] = energy;
    }
  }
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".txt" || entry.path().extension() == ".qama")
      paths.push_back(entry.path());
  }
  if (error || paths.empty()) {
    return Error{ErrorCode::not_found,
                 "directory '" + directory + "': no layers (*.txt, *.qama) in it"};
  }
  std::sort(paths.begin(), paths.end());
  std::map<std::string, std::vector<Layer>> out;
  for (const auto& path : paths) {
    QAMA_ASSIGN_OR_RETURN(auto file, read_problem_file(path.string()));
    if (file.kind != hal::ProblemKind::qama || file.layer.tokens > hal::kMaxDenseTokens) continue;
    const auto known = listed.find(path.filename().string());
    QAMA_ASSIGN_OR_RETURN(Layer layer,
                          make_layer(std::move(file.layer), *context.best_known, *context.device));
    if (known != listed.end() && known->second < layer.best) {
      context.best_known->improve(layer.real, known->second);
      layer.best = known->second;
    }
    // "norm0_8x49x8_s3" belongs to class norm0_8x49x8, "mnist-qama_00007_01" to group
    // mnist-qama_8x49.
    const std::string stem = path.stem().string();
    std::string group = stem.substr(0, stem.rfind("_s"));
    if (find_class(group) == nullptr) {
      group = stem.substr(0, stem.find('_')) + "_" + std::to_string(layer.real.heads) + "x" +
              std::to_string(layer.real.tokens);
    }
    out[group].push_back(std::move(layer));
  }
  return out;
}

/// Of a group of recorded layers every fourth tunes and the others are reported; classes that are
/// generated are tuned on generated layers.
bool tunes(const std::string& group, std::size_t index) {
  return find_class(group) == nullptr && index % 4 == 0;
}

std::vector<Layer> reported(const std::string& group, std::vector<Layer> layers) {
  std::vector<Layer> out;
  for (std::size_t k = 0; k < layers.size(); ++k) {
    if (!tunes(group, k)) out.push_back(std::move(layers[k]));
  }
  return out;
}

Status rows_of_directories(Context& context) {
  for (const std::string& directory : context.options.instance_directories) {
    QAMA_ASSIGN_OR_RETURN(auto groups, layers_of_directory(context, directory));
    for (auto& [name, all] : groups) {
      std::vector<Layer> layers = reported(name, std::move(all));
      if (layers.empty()) continue;
      QAMA_RETURN_IF_ERROR(tts_rows(context, "file", name, layers, 0, 0));
      QAMA_RETURN_IF_ERROR(fixed_row(context, "file", name, layers, 0));
    }
  }
  return {};
}

// ---- commands -----------------------------------------------------------------------------------

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
