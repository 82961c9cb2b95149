// One layer from queries, keys and values to its output: time, memory, growth with its tokens.
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <functional>

#include "bench/layer_pass.h"
#include "bench/rows.h"
#include "hal/search/best_known.h"

namespace qama::bench {
namespace {

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

}  // namespace

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

}  // namespace qama::bench
