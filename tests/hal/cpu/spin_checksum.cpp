// Prints one checksum of spins and energies a kernel, over fixed problems made of integers and of
// floats that are exact fractions. All lines must be alike, on every architecture: cross-compile
// this file, run it under an emulator and compare.
//   spin_checksum [EXPECTED]    exit 1 if a kernel differs from the scalar one, or from EXPECTED
//   (hexadecimal)
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "hal/device.h"
#include "tests/hal/cpu/hal_test_support.h"

namespace qama::hal::test {
namespace {

void mix_in(std::uint64_t& hash, std::uint64_t value) {
  for (int byte = 0; byte < 8; ++byte) {
    hash = (hash ^ ((value >> (8 * byte)) & 0xFF)) * 0x100000001B3ULL;  // FNV-1a
  }
}

/// Long heads on factors; false if the device refuses.
bool add_factors(hal::Device& device, std::uint64_t& hash) {
  Random random(2027);
  const auto fraction = [&random] {
    return static_cast<float>(random.between(-1024, 1024)) / 1024.0F;
  };
  for (const ProblemShape& shape : {ProblemShape{1, 512}, {2, 100}, {1, 15}}) {
    for (const std::int32_t rank : {7, 64}) {
      std::vector<float> factors(static_cast<std::size_t>(shape.spins() * rank));
      std::vector<float> fields(static_cast<std::size_t>(shape.spins()));
      for (float& value : factors) value = fraction();
      for (float& value : fields) value = 8 * fraction();
      FactorsView problem;
      problem.shape = shape;
      problem.rank = rank;
      problem.left = problem.right = factors.data();
      problem.fields = fields.data();
      problem.penalty = 0.5F;
      auto solver = device.compile({shape, Form::factors, rank});
      if (!solver.ok()) return false;
      std::vector<std::uint64_t> spins(
          static_cast<std::size_t>(shape.heads * words_per_head(shape.tokens)));
      SolveOptions options;
      options.seed = random.next();
      options.schedule.sweeps = 5;
      SolveResult result;
      if (!(*solver)->solve(problem, options, spins, result).ok()) return false;
      for (const std::uint64_t word : spins) mix_in(hash, word);
      mix_in(hash, static_cast<std::uint64_t>(result.flips));
    }
  }
  return true;
}

/// Few-valued problems, which have kernels of their own.
bool add_planes(hal::Device& device, std::uint64_t& hash) {
  Random random(2028);
  for (const std::int32_t tokens : {65, 200, 512, 700}) {
    for (const std::int32_t values : {2, 3}) {
      OwnedProblem owned({1, tokens}, 0);
      for (std::int32_t i = 0; i < tokens; ++i) {
        for (std::int32_t j = i + 1; j < tokens; ++j) {
          const std::int64_t value = random.between(0, values - 1);
          owned.couple(0, i, j, static_cast<std::int16_t>(2 * value - values + 1));
        }
        owned.field(0, i) = static_cast<std::int16_t>(random.between(-50, 50));
      }
      auto solver = device.compile({1, tokens});
      if (!solver.ok()) return false;
      std::vector<std::uint64_t> spins(static_cast<std::size_t>(words_per_head(tokens)));
      SolveOptions options;
      options.seed = random.next();
      options.schedule.sweeps = 12;
      options.schedule.restarts = 5;
      SolveResult result;
      if (!(*solver)->solve(owned.problem(), options, spins, result).ok()) return false;
      for (const std::uint64_t word : spins) mix_in(hash, word);
      mix_in(hash, static_cast<std::uint64_t>(result.flips));
    }
  }
  return true;
}

/// Rows of neighbours, in groups of restarts that fill lanes and that do not.
bool add_sparse(hal::Device& device, std::uint64_t& hash) {
  Random random(2029);
  for (const std::int32_t count : {40, 130, 3000}) {
    const OwnedSparse sparse = OwnedSparse::random(count, 7, random);
    auto solver = device.compile({{1, count}, Form::sparse});
    if (!solver.ok()) return false;
    for (const std::int32_t restarts : {1, 9, 20, 35}) {
      std::vector<std::uint64_t> spins(static_cast<std::size_t>(words_per_head(count)));
      SolveOptions options;
      options.seed = random.next();
      options.schedule.sweeps = 6;
      options.schedule.restarts = restarts;
      SolveResult result;
      if (!(*solver)->solve(sparse.problem(), options, spins, result).ok()) return false;
      for (const std::uint64_t word : spins) mix_in(hash, word);
      mix_in(hash, static_cast<std::uint64_t>(result.flips));
    }
  }
  return true;
}

/// 0 if the device refuses.
std::uint64_t checksum(const std::string& uri) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  const ProblemShape shapes[] = {{8, 49}, {8, 64}, {1, 512}, {2, 130}, {1, 1}, {5, 33}, {64, 3}};
  Random random(2026);
  auto device = open_device(uri);
  if (!device.ok()) return 0;
  for (const ProblemShape& shape : shapes) {
    auto solver = (*device)->compile(shape);
    if (!solver.ok()) return 0;
    std::vector<std::uint64_t> spins(
        static_cast<std::size_t>(shape.heads * words_per_head(shape.tokens)));
    for (const ProblemKind kind : kProblemKinds) {
      const OwnedProblem owned = OwnedProblem::random(shape, kind, 350, random);
      SolveOptions options;
      options.seed = random.next();
      options.schedule.sweeps = static_cast<std::int32_t>(random.between(0, 30));
      options.schedule.restarts = static_cast<std::int32_t>(random.between(1, 12));
      options.schedule.rounds = static_cast<std::int32_t>(random.between(0, 3));
      options.schedule.start = static_cast<StartKind>(random.between(0, 2));
      SolveResult result;
      if (!(*solver)->solve(owned.problem(), options, spins, result).ok()) return 0;
      for (const std::uint64_t word : spins) mix_in(hash, word);
      mix_in(hash, static_cast<std::uint64_t>(result.energy));
      mix_in(hash, static_cast<std::uint64_t>(result.flips));
    }
  }
  return add_factors(**device, hash) && add_planes(**device, hash) && add_sparse(**device, hash)
             ? hash
             : 0;
}

int run(int argc, char** argv) {
  const std::uint64_t expected =
      argc > 1 ? std::strtoull(argv[1], nullptr, 16) : checksum("cpu:scalar");
  bool same = expected != 0;
  for (const cpu::Kernel& kernel : cpu::kernels()) {
    if (!kernel.supported()) {
      std::printf("%-8.*s not run: this machine lacks %.*s\n", static_cast<int>(kernel.name.size()),
                  kernel.name.data(), static_cast<int>(kernel.needs.size()), kernel.needs.data());
      continue;
    }
    const std::uint64_t got = checksum("cpu:" + std::string(kernel.name));
    same = same && got == expected;
    std::printf("%-8.*s %016llx%s\n", static_cast<int>(kernel.name.size()), kernel.name.data(),
                static_cast<unsigned long long>(got), got == expected ? "" : "  DIFFERS");
  }
  return same ? 0 : 1;
}

}  // namespace
}  // namespace qama::hal::test

int main(int argc, char** argv) {
  return qama::hal::test::run(argc, argv);
}
