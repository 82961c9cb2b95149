// The google-benchmark suite over the list of kernels: nanoseconds a proposal and latency of a
// solve, for every kernel that this machine runs; complete +-1 graphs (bit planes), sparse graphs
// and long heads on factors. A kernel that is added to hal/cpu/kernels.cpp is measured here without
// another line.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bench/instances.h"
#include "bench/layer_pass.h"
#include "bench/measure.h"
#include "bench/textbook_sa.h"
#include "hal/cpu/kernel.h"
#include "hal/device.h"
#include "hal/lower/lower.h"
#include "ops/simd/factors_front.h"
#include "ops/simd/kernels.h"

namespace qama::bench {
namespace {

/// What is solved and how; all by the same seed.
struct Work {
  std::string name;
  const InstanceClass* of;
  hal::SolveOptions options;
};

std::vector<Work> works() {
  std::vector<Work> out;
  const auto add = [&out](const char* what, const char* of, std::int32_t sweeps,
                          std::int32_t restarts) {
    Work work{std::string(what) + "/" + of, find_class(of), {}};
    work.options.schedule.sweeps = sweeps;
    work.options.schedule.restarts = restarts;
    work.options.schedule.t_start = 0.3F;
    work.options.schedule.t_end = 0.03F;
    out.push_back(work);
  };
  add("throughput", "norm_8x49x8", 1000, 4);
  add("latency", "norm0_8x49x8", 20, 1);
  add("latency", "norm0_8x49x8", 20, 4);
  add("latency", "norm0_8x64x16", 20, 4);
  add("latency", "norm0_1x512x64", 5, 1);
  add("descent", "norm0_8x49x8", 0, 1);
  return out;
}

hal::DenseBuild build(const InstanceClass& of) {
  hal::ProblemFile file;
  file.layer = instance(of, kFirstReportSeed);
  auto out = hal::to_dense(file);
  if (!out.ok()) {
    std::fprintf(stderr, "annealer_benchmark: %s\n", out.error().message.c_str());
    std::exit(1);
  }
  return std::move(*out);
}

void run_device(benchmark::State& state, const Work& work, const std::string& uri) {
  auto device = hal::open_device(uri);
  const hal::DenseBuild problem = build(*work.of);
  const hal::ProblemShape shape = problem.buffer.problem().shape;
  auto solver = device.ok() ? (*device)->compile(shape)
                            : Result<std::unique_ptr<hal::Solver>>(device.error());
  if (!solver.ok()) {
    state.SkipWithError(solver.error().message.c_str());
    return;
  }
  std::vector<std::uint64_t> spins(
      static_cast<std::size_t>(shape.heads * hal::words_per_head(shape.tokens)));
  hal::SolveResult result;
  hal::SolveOptions options = work.options;
  std::int64_t proposals = 0;
  for (auto _ : state) {
    ++options.seed;
    const Status status = (*solver)->solve(problem.buffer.problem(), options, spins, result);
    if (!status.ok()) {
      state.SkipWithError(status.error().message.c_str());
      return;
    }
    proposals += result.proposals;
    benchmark::DoNotOptimize(spins.data());
  }
  state.counters["proposal"] = benchmark::Counter(
      static_cast<double>(proposals), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void run_textbook(benchmark::State& state, const Work& work) {
  const hal::DenseBuild problem = build(*work.of);
  TextbookAnnealer annealer(problem.buffer.problem());
  hal::SolveOptions options = work.options;
  std::int64_t proposals = 0;
  for (auto _ : state) {
    ++options.seed;
    const TextbookResult result = annealer.solve(options);
    proposals += result.proposals;
    benchmark::DoNotOptimize(result.energy);
  }
  state.counters["proposal"] = benchmark::Counter(
      static_cast<double>(proposals), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// Solves with one seed after the other; `solve` takes options and a result.
template <class Solve>
void run_solves(benchmark::State& state, hal::SolveOptions options, const Solve& solve) {
  std::int64_t proposals = 0;
  for (auto _ : state) {
    ++options.seed;
    hal::SolveResult result;
    if (!solve(options, result).ok()) {
      state.SkipWithError("not solved");
      return;
    }
    proposals += result.proposals;
  }
  state.counters["proposal"] = benchmark::Counter(
      static_cast<double>(proposals), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// A complete +-1 graph, which kernels but the scalar one solve on bit planes.
void run_graph(benchmark::State& state, const std::string& uri) {
  auto device = hal::open_device(uri);
  const auto problem =
      hal::to_dense(complete_graph(static_cast<std::int32_t>(state.range(0)), 2000));
  auto solver = device.ok() && problem.ok()
                    ? (*device)->compile(problem->buffer.problem().shape)
                    : Error{ErrorCode::invalid_argument, "no device or no problem"};
  if (!solver.ok()) {
    state.SkipWithError(solver.error().message.c_str());
    return;
  }
  std::vector<std::uint64_t> spins(
      static_cast<std::size_t>(hal::words_per_head(problem->buffer.problem().shape.tokens)));
  run_solves(state, {{.sweeps = 500, .restarts = 4, .t_start = 0.5F, .t_end = 0.025F}},
             [&](const hal::SolveOptions& options, hal::SolveResult& result) {
               return (*solver)->solve(problem->buffer.problem(), options, spins, result);
             });
}

/// A graph of 20 neighbours a spin as rows of neighbours, 32 restarts side by side.
void run_sparse_graph(benchmark::State& state, const std::string& uri) {
  auto device = hal::open_device(uri);
  const auto rows =
      hal::to_sparse(random_graph(static_cast<std::int32_t>(state.range(0)), 20, {1}, 1));
  auto solver = device.ok() && rows.ok()
                    ? (*device)->compile(hal::Workload::of(rows->problem))
                    : Error{ErrorCode::invalid_argument, "no device or no problem"};
  if (!solver.ok()) {
    state.SkipWithError(solver.error().message.c_str());
    return;
  }
  std::vector<std::uint64_t> spins(
      static_cast<std::size_t>(hal::words_per_head(rows->problem.spins)));
  run_solves(state, {{.sweeps = 100, .restarts = 32, .t_start = 0.3F, .t_end = 0.03F}},
             [&](const hal::SolveOptions& options, hal::SolveResult& result) {
               return (*solver)->solve(rows->problem, options, spins, result);
             });
}

/// A long head from Q, K, V to its output on factors, descent only.
void run_factors(benchmark::State& state, const std::string& uri) {
  const InstanceClass of{"norm_long", LayerKind::norm, 1, static_cast<std::int32_t>(state.range(0)),
                         64};
  auto device = hal::open_device(uri);
  PassData data = pass_data(of, kFirstReportSeed);
  auto pass = device.ok() ? FactorPass::create(of, **device)
                          : Result<std::unique_ptr<FactorPass>>(device.error());
  hal::SolveOptions options;
  options.schedule.sweeps = 0;
  for (auto _ : state) {
    PassTimes times;
    if (!pass.ok() || !(*pass)->run(data, options, times).ok()) {
      state.SkipWithError("not solved");
      return;
    }
    benchmark::DoNotOptimize(data.output.data());
  }
}

/// The front end of such a head alone, on every target of ops.
void run_factors_front(benchmark::State& state, const ops::KernelTable& kernels) {
  const InstanceClass of{"norm_long", LayerKind::norm, 1, static_cast<std::int32_t>(state.range(0)),
                         64};
  const PassData data = pass_data(of, kFirstReportSeed);
  AlignedBuffer<float> factors(
      static_cast<std::size_t>(of.tokens * ops::long_factor_width(of.rank)));
  AlignedBuffer<double> scratch(static_cast<std::size_t>(ops::long_factor_scratch(of.rank)));
  ops::LongFactorArgs args;
  args.tokens = of.tokens;
  args.dim_head = of.rank;
  args.q = data.queries.data();
  args.k = data.keys.data();
  args.stride = of.rank;
  args.factors = factors.data();
  args.scratch = scratch.data();
  args.statistics = true;
  for (auto _ : state) {
    kernels.qama_factors_factors(args);
    benchmark::DoNotOptimize(args.sum_squares);
  }
}

void add_long_benchmarks() {
  for (const hal::cpu::Kernel& kernel : hal::cpu::kernels()) {
    if (!kernel.supported()) continue;
    const std::string uri = "cpu:" + std::string(kernel.name);
    benchmark::RegisterBenchmark(("complete_graph/" + uri).c_str(),
                                 [uri](benchmark::State& state) { run_graph(state, uri); })
        ->Arg(800)
        ->Arg(2000)
        ->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark(("sparse_graph/" + uri).c_str(),
                                 [uri](benchmark::State& state) { run_sparse_graph(state, uri); })
        ->Arg(2000)
        ->Arg(20000)
        ->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark(("factors_1x64/" + uri).c_str(),
                                 [uri](benchmark::State& state) { run_factors(state, uri); })
        ->Arg(512)
        ->Arg(2048)
        ->Unit(benchmark::kMicrosecond);
  }
  for (const ops::KernelTable* kernels : ops::kernel_tables()) {
    benchmark::RegisterBenchmark(
        ("factors_front_1x64/" + std::string(kernels->name)).c_str(),
        [kernels](benchmark::State& state) { run_factors_front(state, *kernels); })
        ->Arg(512)
        ->Arg(2048)
        ->Unit(benchmark::kMicrosecond);
  }
}

void add_benchmarks() {
  add_long_benchmarks();
  for (const Work& work : works()) {
    const std::string name = work.name + "/sweeps:" + std::to_string(work.options.schedule.sweeps) +
                             "/restarts:" + std::to_string(work.options.schedule.restarts);
    for (const hal::cpu::Kernel& kernel : hal::cpu::kernels()) {
      if (!kernel.supported()) continue;
      const std::string uri = "cpu:" + std::string(kernel.name);
      benchmark::RegisterBenchmark((name + "/" + uri).c_str(), [work,
                                                                uri](benchmark::State& state) {
        run_device(state, work, uri);
      })->Unit(benchmark::kMicrosecond);
    }
    benchmark::RegisterBenchmark((name + "/textbook").c_str(), [work](benchmark::State& state) {
      run_textbook(state, work);
    })->Unit(benchmark::kMicrosecond);
  }
}

}  // namespace
}  // namespace qama::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  std::fputs(qama::bench::provenance().c_str(), stderr);
  qama::bench::pin_thread(-1);
  qama::bench::add_benchmarks();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
