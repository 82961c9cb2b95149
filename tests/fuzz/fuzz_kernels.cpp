// Differential fuzz target: every kernel that this machine runs must give the reference's spins,
// energy, flips and proposals. The first bytes choose shape, penalty, schedule and chains; the rest
// are couplings and fields (repeated from a hash where they run out), cut so that the problem keeps
// its rules. Shape and chains are cut to what an input of this size may cost.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"
#include "hal/device.h"
#include "tests/fuzz/fuzz_bytes.h"
#include "tests/hal/cpu/hal_test_support.h"

namespace {

using namespace qama::hal;
using qama::fuzz::Bytes;
using qama::hal::test::ChainAnswer;
using qama::hal::test::KernelRun;
using qama::hal::test::OwnedProblem;

/// Fewer restarts, so that at most `sweeps` are left.
void cut(Schedule& schedule, std::int64_t sweeps) {
  schedule.restarts = static_cast<std::int32_t>(
      std::clamp<std::int64_t>(sweeps / (schedule.sweeps + 1), 1, schedule.restarts));
}

/// A problem of one head and few values through the devices, which take bit planes for it; three
/// values, or four, which none of them may take for three.
void compare_few_valued(Bytes& in, std::int32_t tokens, std::int64_t work) {
  OwnedProblem owned({1, tokens}, 0);
  std::array<std::int16_t, 4> values{};
  for (auto& value : values)
    value = static_cast<std::int16_t>(static_cast<std::int32_t>(in.byte()) - 128);
  const std::uint32_t count = 1 + in.byte() % 4;
  for (std::int32_t i = 0; i < tokens; ++i) {
    for (std::int32_t j = i + 1; j < tokens; ++j) owned.couple(0, i, j, values[in.byte() % count]);
    owned.field(0, i) = static_cast<std::int16_t>(static_cast<std::int32_t>(in.byte()) - 128);
  }
  SolveOptions options;
  options.seed = in.word();
  options.schedule.sweeps = static_cast<std::int32_t>(in.byte() % 12);
  options.schedule.restarts = 1 + static_cast<std::int32_t>(in.byte() % 6);
  cut(options.schedule, work / tokens);
  std::vector<std::uint64_t> expected;
  for (const cpu::Kernel& kernel : cpu::kernels()) {
    if (!kernel.supported()) continue;
    std::vector<std::uint64_t> spins(static_cast<std::size_t>(words_per_head(tokens)));
    SolveResult result;
    const auto device = open_device("cpu:" + std::string(kernel.name));
    if (!device.ok()) std::abort();
    const auto solver = (*device)->compile({1, tokens});
    if (!solver.ok() || !(*solver)->solve(owned.problem(), options, spins, result).ok())
      std::abort();
    if (result.energy != energy_of(owned.problem(), spins)) std::abort();
    if (expected.empty()) expected = spins;
    if (spins == expected) continue;
    std::fprintf(stderr, "%s differs on %d few-valued spins\n", result.solved_by, tokens);
    std::abort();
  }
}

/// The first head of a problem as rows of neighbours, through the devices, against the same as a
/// matrix.
void compare_sparse(Bytes& in, DenseView problem, std::int64_t work) {
  problem.shape.heads = 1;
  const qama::hal::test::OwnedSparse sparse(problem);
  if (!validate(sparse.problem()).ok()) std::abort();
  SolveOptions options;
  options.seed = in.word();
  options.schedule.sweeps = static_cast<std::int32_t>(in.byte() % 12);
  options.schedule.restarts = 1 + static_cast<std::int32_t>(in.byte() % 40);
  cut(options.schedule, work / problem.shape.tokens);
  std::vector<std::uint64_t> expected(
      static_cast<std::size_t>(words_per_head(problem.shape.tokens)));
  SolveResult result;
  const auto scalar = open_device("cpu:scalar");
  if (!scalar.ok()) std::abort();
  const auto matrix = (*scalar)->compile(problem.shape);
  if (!matrix.ok() || !(*matrix)->solve(problem, options, expected, result).ok()) std::abort();
  for (const cpu::Kernel& kernel : cpu::kernels()) {
    if (!kernel.supported()) continue;
    std::vector<std::uint64_t> spins(expected.size());
    const auto device = open_device("cpu:" + std::string(kernel.name));
    if (!device.ok()) std::abort();
    const auto solver = (*device)->compile({{1, problem.shape.tokens}, Form::sparse});
    if (!solver.ok() || !(*solver)->solve(sparse.problem(), options, spins, result).ok())
      std::abort();
    if (result.energy != energy_of(sparse.problem(), spins)) std::abort();
    if (spins == expected) continue;
    std::fprintf(stderr, "%s differs on %d spins as rows of neighbours\n", result.solved_by,
                 problem.shape.tokens);
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes in({data, size});
  const std::int64_t work = qama::fuzz::work_of({data, size});
  ProblemShape shape{1 + static_cast<std::int32_t>(in.byte() % 12),
                     1 + static_cast<std::int32_t>(in.word() % 200)};
  while (std::int64_t{shape.tokens} * shape.tokens > work) shape.tokens /= 2;
  shape.heads = static_cast<std::int32_t>(
      std::clamp<std::int64_t>(work / shape.tokens / shape.tokens, 1, shape.heads));
  const std::int32_t fits = shape.heads > 1 ? INT16_MAX / (shape.heads - 1) : INT16_MAX;
  OwnedProblem owned(shape, static_cast<std::int16_t>(std::min<std::int32_t>(
                                static_cast<std::int32_t>(in.word() & 0x7FFF), fits)));
  std::vector<std::uint16_t> temperatures(in.byte() % 6);
  for (auto& t : temperatures) t = static_cast<std::uint16_t>(1 + in.word() % cpu::kMaxTemperature);
  const std::int64_t sweep = shape.spins() * static_cast<std::int64_t>(temperatures.size() + 1);
  const auto chains = static_cast<std::int32_t>(std::clamp<std::int64_t>(
      work / sweep, 1, 1 + static_cast<std::int64_t>(in.byte() % cpu::kMaxChains)));
  const auto first = static_cast<std::int32_t>(in.byte());
  const std::uint64_t seed = in.word();
  const bool settle = in.byte() % 4 != 0;

  const std::int32_t budget = INT16_MAX - (shape.heads - 1) * owned.problem().penalty;
  const std::int32_t largest = shape.tokens > 1 ? budget / (shape.tokens - 1) : 0;
  const auto value = [&in](std::int32_t bound) {
    const auto wide = static_cast<std::int16_t>(in.word());
    return static_cast<std::int16_t>(std::clamp<std::int32_t>(wide, -bound, bound));
  };
  for (std::int32_t t = 0; t < shape.heads; ++t) {
    for (std::int32_t i = 0; i < shape.tokens; ++i) {
      for (std::int32_t j = i + 1; j < shape.tokens; ++j) owned.couple(t, i, j, value(largest));
    }
    for (std::int32_t i = 0; i < shape.tokens; ++i) {
      std::int32_t left = budget;
      for (std::int32_t j = 0; j < shape.tokens; ++j) left -= std::abs(owned.coupling(t, i, j));
      owned.field(t, i) = value(left);
    }
  }
  const DenseView problem = owned.problem();
  if (!validate(problem).ok()) std::abort();
  if (shape.tokens > 64) compare_few_valued(in, shape.tokens, work);
  compare_sparse(in, problem, work);

  const auto answer = [&](const cpu::Kernel& kernel) {
    return KernelRun(kernel, shape)(problem, temperatures, seed, first, chains, settle);
  };
  const std::vector<ChainAnswer> expected = answer(cpu::kernels().front());
  for (const ChainAnswer& chain : expected) {
    if (static_cast<double>(chain.energy) != test::brute_force_energy(problem, chain.spins))
      std::abort();
  }
  for (const cpu::Kernel& kernel : cpu::kernels()) {
    if (!kernel.supported() || answer(kernel) == expected) continue;
    std::fprintf(stderr, "kernel %.*s differs from %.*s on %d x %d spins\n",
                 static_cast<int>(kernel.name.size()), kernel.name.data(),
                 static_cast<int>(cpu::kernels().front().name.size()),
                 cpu::kernels().front().name.data(), shape.heads, shape.tokens);
    std::abort();
  }
  return 0;
}
