// Time of one proposal, on every kind of problem and kernel, and the same spins on all of them.
#include <cmath>

#include "bench/layer_pass.h"
#include "bench/rows.h"
#include "bench/textbook_sa.h"
#include "hal/cpu/kernel.h"

namespace qama::bench {
namespace {

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

}  // namespace

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

Status row_graphs(Context& context) {
  QAMA_RETURN_IF_ERROR(
      graph_row(context, "grid of 2 025 spins, +-1, 4 neighbours", toroidal_graph(45, 1)));
  QAMA_RETURN_IF_ERROR(graph_row(context, "random graph, 2 000 spins, 20 neighbours",
                                 random_graph(2000, 20, {1}, 1)));
  return graph_row(context, "random graph, 2 000 spins, 20 neighbours, six weights",
                   random_graph(2000, 20, {-7, -3, 1, 2, 5, 9}, 1));
}

}  // namespace qama::bench
