// Low-rank problems: every kernel against the reference, energies against the definition in double,
// small problems against enumeration, and misuse.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "hal/device.h"
#include "tests/hal/cpu/hal_test_support.h"
#include "tests/test_support.h"

namespace qama::hal::test {
namespace {

/// Random factors with their memory. J = sum_d sign_d a_id a_jd scaled, written as left and right.
struct OwnedFactors {
  ProblemShape shape;
  std::int32_t rank;
  std::vector<float> left, right, scale, shift, fields;
  float penalty = 0;

  OwnedFactors(const ProblemShape& s, std::int32_t r, Random& random) : shape(s), rank(r) {
    const auto draw = [&random] { return static_cast<float>(2 * random.unit() - 1); };
    for (std::int32_t t = 0; t < s.heads; ++t) {
      std::vector<float> signs;
      for (std::int32_t d = 0; d < r; ++d) signs.push_back(3 * draw());
      for (std::int32_t k = 0; k < s.tokens * r; ++k) {
        right.push_back(draw());
        left.push_back(right.back() * signs[static_cast<std::size_t>(k % r)]);
      }
      scale.push_back(2 * draw());
      shift.push_back(draw());
    }
    for (std::int64_t k = 0; k < s.spins(); ++k) fields.push_back(5 * draw());
    if (s.heads > 1) penalty = 0.75F;
  }
  [[nodiscard]] FactorsView problem(bool with_shift = true) const {
    FactorsView out;
    out.shape = shape;
    out.rank = rank;
    out.left = left.data();
    out.right = right.data();
    out.scale = with_shift ? scale.data() : nullptr;
    out.shift = with_shift ? shift.data() : nullptr;
    out.fields = fields.data();
    out.penalty = penalty;
    return out;
  }
};

double definition(const FactorsView& p, const std::vector<std::uint64_t>& spins) {
  const std::int32_t words = words_per_head(p.shape.tokens);
  const auto s = [&](std::int32_t t, std::int32_t i) {
    return ((spins[static_cast<std::size_t>(t * words + i / 64)] >> (i % 64)) & 1U) != 0;
  };
  double energy = 0;
  for (std::int32_t t = 0; t < p.shape.heads; ++t) {
    for (std::int32_t i = 0; i < p.shape.tokens; ++i) {
      if (!s(t, i)) continue;
      const auto row = static_cast<std::size_t>(t * p.shape.tokens + i);
      energy -= static_cast<double>(p.fields[row]);
      for (std::int32_t j = i + 1; j < p.shape.tokens; ++j) {
        if (!s(t, j)) continue;
        const auto other = static_cast<std::size_t>(t * p.shape.tokens + j);
        double coupling = 0;
        for (std::int32_t d = 0; d < p.rank; ++d) {
          coupling +=
              static_cast<double>(
                  p.left[row * static_cast<std::size_t>(p.rank) + static_cast<std::size_t>(d)]) *
              static_cast<double>(
                  p.right[other * static_cast<std::size_t>(p.rank) + static_cast<std::size_t>(d)]);
        }
        if (p.scale != nullptr) coupling *= static_cast<double>(p.scale[t]);
        if (p.shift != nullptr) coupling += static_cast<double>(p.shift[t]);
        energy -= coupling;
      }
      for (std::int32_t u = t + 1; u < p.shape.heads; ++u) {
        if (s(u, i)) energy += static_cast<double>(p.penalty);
      }
    }
  }
  return energy;
}

struct Answer {
  std::vector<std::uint64_t> spins;
  SolveResult result;
};

Answer solve(const std::string& uri, const FactorsView& problem, const SolveOptions& options,
             std::int32_t compiled_tokens = 0) {
  Answer out;
  out.spins.resize(
      static_cast<std::size_t>(problem.shape.heads * words_per_head(problem.shape.tokens)));
  auto device = open_device(uri);
  EXPECT_OK(device);
  if (!device.ok()) return out;
  auto solver =
      (*device)->compile({{problem.shape.heads, std::max(compiled_tokens, problem.shape.tokens)},
                          Form::factors,
                          problem.rank});
  EXPECT_OK(solver);
  if (solver.ok()) EXPECT_OK((*solver)->solve(problem, options, out.spins, out.result));
  return out;
}

/// Random options, the reference's answer, and every kernel's beside it.
void expect_equal_kernels(const FactorsView& problem, Random& random) {
  SolveOptions options;
  options.seed = random.next();
  options.schedule.sweeps = static_cast<std::int32_t>(random.between(0, 6));
  options.schedule.restarts = static_cast<std::int32_t>(random.between(1, 3));
  const Answer expected = solve("cpu:scalar", problem, options);
  const double energy = definition(problem, expected.spins);
  EXPECT_NEAR(expected.result.real_energy, energy,
              1e-5 * (std::fabs(energy) + problem.shape.tokens));
  for (const cpu::Kernel* kernel : kernels_under_test()) {
    SCOPED_TRACE(std::string(kernel->name) + ", " + std::to_string(problem.shape.heads) + " x " +
                 std::to_string(problem.shape.tokens) + ", rank " + std::to_string(problem.rank));
    const Answer got = solve("cpu:" + std::string(kernel->name), problem, options);
    EXPECT_EQ(got.spins, expected.spins);
    EXPECT_EQ(got.result.real_energy, expected.result.real_energy);
    EXPECT_EQ(got.result.flips, expected.result.flips);
    EXPECT_EQ(got.result.proposals, expected.result.proposals);
    EXPECT_EQ(std::string(got.result.solved_by), "cpu:" + std::string(kernel->name) + " factors");
  }
}

TEST(Factors, EveryKernelEqualsTheReference) {
  Random random(1);
  for (const std::int32_t tokens : {1, 2, 15, 16, 17, 31, 63, 64, 65, 128, 130, 300}) {
    for (const std::int32_t rank : {1, 3, 4, 5, 8, 15, 16, 17, 64, 65}) {
      const auto heads = static_cast<std::int32_t>(random.between(1, 3));
      const OwnedFactors owned({heads, tokens}, rank, random);
      FactorsView problem = owned.problem(random.between(0, 1) == 0);
      // As QAMA has it: both factors are one array.
      if (random.between(0, 1) == 0) problem.left = problem.right;
      expect_equal_kernels(problem, random);
      if (HasFailure()) return;
    }
  }
}

// A single head that is swept in blocks, and more tiles than couplings are kept of.
TEST(Factors, EveryKernelEqualsTheReferenceWhereItIsLong) {
  Random random(6);
  for (const auto& [shape, rank] : {std::pair{ProblemShape{1, 300}, 1000},
                                    {ProblemShape{1, 1025}, 250},
                                    {ProblemShape{64, 270}, 3},
                                    {ProblemShape{1, 2100}, 64}}) {
    const OwnedFactors owned(shape, rank, random);
    FactorsView problem = owned.problem();
    if (random.between(0, 1) == 0) problem.left = problem.right;
    expect_equal_kernels(problem, random);
  }
}

// Below 2^-126 a vector unit may take a number for 0 (NEON of 32-bit ARM): spins must not tell.
TEST(Factors, EveryKernelEqualsTheReferenceWhereNumbersAreTiny) {
  Random random(77);
  for (const ProblemShape& shape : {ProblemShape{1, 200}, {3, 70}}) {
    OwnedFactors owned(shape, 5, random);
    for (float& value : owned.left) value *= 0x1p-126F;
    for (float& value : owned.shift) value *= 0x1p-126F;
    for (float& value : owned.fields) value *= 0x1p-126F;
    owned.penalty *= 0x1p-126F;
    expect_equal_kernels(owned.problem(), random);
  }
}

TEST(Factors, FindsTheMinimumOfSmallProblems) {
  Random random(2);
  for (const ProblemShape& shape : {ProblemShape{1, 16}, {1, 17}, {2, 8}, {3, 5}, {1, 1}}) {
    const OwnedFactors owned(shape, 3, random);
    const FactorsView problem = owned.problem();
    double minimum = 0;
    std::vector<std::uint64_t> state(static_cast<std::size_t>(shape.heads));
    for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << shape.spins()); ++bits) {
      for (std::int32_t t = 0; t < shape.heads; ++t) {
        state[static_cast<std::size_t>(t)] =
            (bits >> (t * shape.tokens)) & ((std::uint64_t{1} << shape.tokens) - 1);
      }
      minimum = std::min(minimum, definition(problem, state));
    }
    SolveOptions options;
    options.schedule.sweeps = 40;
    options.schedule.restarts = 40;
    const Answer answer = solve("cpu:", problem, options);
    EXPECT_NEAR(definition(problem, answer.spins), minimum, 1e-4)
        << shape.heads << " x " << shape.tokens;
  }
}

TEST(Factors, FewerTokensThanCompiledFor) {
  Random random(3);
  for (const std::int32_t tokens : {1, 16, 100, 129}) {
    const OwnedFactors owned({2, tokens}, 7, random);
    SolveOptions options;
    options.schedule.sweeps = 3;
    EXPECT_EQ(solve("cpu:", owned.problem(), options, 130).spins,
              solve("cpu:", owned.problem(), options).spins);
  }
}

TEST(Factors, MemoryIsLinearInTheTokens) {
  ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:"));
  ASSERT_OK_AND_ASSIGN(const auto small, device->compile({{1, 4096}, Form::factors, 64}));
  ASSERT_OK_AND_ASSIGN(const auto large, device->compile({{1, 65536}, Form::factors, 64}));
  EXPECT_LE(large->memory_bytes(), 16 * small->memory_bytes());
  EXPECT_LE(large->memory_bytes(), 64U << 20);
}

// A number that is not finite anywhere in the problem is refused, wherever it stands.
TEST(Factors, NumbersThatAreNotFinite) {
  Random random(5);
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  for (const cpu::Kernel* kernel : kernels_under_test()) {
    ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:" + std::string(kernel->name)));
    ASSERT_OK_AND_ASSIGN(const auto solver, device->compile({{2, 37}, Form::factors, 5}));
    std::vector<std::uint64_t> spins(2);
    SolveResult result;
    for (const float value : bad) {
      for (const std::size_t at : {std::size_t{0}, std::size_t{2 * 37 * 5 - 1}, std::size_t{100}}) {
        OwnedFactors left({2, 37}, 5, random);
        left.left[at] = value;
        EXPECT_ERROR(problem_bad_value, solver->solve(left.problem(), {}, spins, result));
        OwnedFactors right({2, 37}, 5, random);
        right.right[at] = value;
        EXPECT_ERROR(problem_bad_value, solver->solve(right.problem(), {}, spins, result));
      }
      OwnedFactors field({2, 37}, 5, random);
      field.fields[73] = value;
      EXPECT_ERROR(problem_bad_value, solver->solve(field.problem(), {}, spins, result));
      OwnedFactors scale({2, 37}, 5, random);
      scale.scale[1] = value;
      EXPECT_ERROR(problem_bad_value, solver->solve(scale.problem(), {}, spins, result));
      OwnedFactors shift({2, 37}, 5, random);
      shift.shift[1] = value;
      EXPECT_ERROR(problem_bad_value, solver->solve(shift.problem(), {}, spins, result));
      OwnedFactors penalty({2, 37}, 5, random);
      penalty.penalty = value;
      EXPECT_ERROR(problem_bad_value, solver->solve(penalty.problem(), {}, spins, result));
    }
    EXPECT_OK(solver->solve(OwnedFactors({2, 37}, 5, random).problem(), {}, spins, result));
  }
}

TEST(Factors, Misuse) {
  ASSERT_OK_AND_ASSIGN(const auto device, open_device("cpu:"));
  for (const auto& [shape, rank] : {std::pair{ProblemShape{0, 5}, 3},
                                    {ProblemShape{1, 0}, 3},
                                    {ProblemShape{kMaxHeads + 1, 5}, 3},
                                    {ProblemShape{1, kMaxTokens + 1}, 3},
                                    {ProblemShape{1, 5}, 0},
                                    {ProblemShape{1, 5}, kMaxRankLimit + 1}}) {
    EXPECT_ERROR(problem_too_large, device->compile({shape, Form::factors, rank}));
  }
  ASSERT_OK_AND_ASSIGN(const auto exact, open_device("exact:"));
  EXPECT_ERROR(unsupported, exact->compile({{1, 5}, Form::factors, 3}));

  Random random(4);
  const OwnedFactors owned({2, 20}, 3, random);
  ASSERT_OK_AND_ASSIGN(const auto solver, device->compile({{2, 20}, Form::factors, 3}));
  std::vector<std::uint64_t> spins(2);
  SolveResult result;
  const auto refused = [&](auto change) {
    FactorsView problem = owned.problem();
    SolveOptions options;
    change(problem, options);
    EXPECT_ERROR(invalid_argument, solver->solve(problem, options, spins, result));
  };
  refused([](FactorsView& p, SolveOptions&) { p.shape.heads = 1; });
  refused([](FactorsView& p, SolveOptions&) { p.shape.tokens = 21; });
  refused([](FactorsView& p, SolveOptions&) { p.shape.tokens = 0; });
  refused([](FactorsView& p, SolveOptions&) { p.rank = 2; });
  refused([](FactorsView&, SolveOptions& o) { o.schedule.sweeps = -1; });
  refused([](FactorsView&, SolveOptions& o) { o.schedule.restarts = 0; });
  refused([](FactorsView&, SolveOptions& o) {
    o.schedule.t_end = std::numeric_limits<float>::quiet_NaN();
  });
  EXPECT_ERROR(invalid_argument,
               solver->solve(owned.problem(), {}, std::span(spins).first(1), result));
  EXPECT_OK(solver->solve(owned.problem(), {}, spins, result));
}

}  // namespace
}  // namespace qama::hal::test
