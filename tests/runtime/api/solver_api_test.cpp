// The annealer through the C API: real energies, answers that do not depend on the number of
// threads, and errors in place of crashes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "hal/base/error.h"
#include "qama/qama.h"
#include "tests/hal/cpu/hal_test_support.h"

namespace qama::hal::test {
namespace {

using testing::HasSubstr;

constexpr std::int32_t kHeads = 4;
constexpr std::int32_t kTokens = 20;
constexpr std::int32_t kRank = 5;
constexpr std::int32_t kBatch = 9;
constexpr float kLambda = 1.5F;

struct Destroy {
  void operator()(qama_solver* solver) const { qama_solver_destroy(solver); }
};
using SolverHandle = std::unique_ptr<qama_solver, Destroy>;

SolverHandle create(std::int32_t threads, std::uint64_t seed = 1) {
  qama_solver_options options;
  qama_solver_options_init(&options);
  options.threads = threads;
  options.seed = seed;
  options.sweeps = 3;
  qama_solver* solver = nullptr;
  EXPECT_EQ(qama_solver_create(nullptr, kHeads, kTokens, &options, &solver), 0)
      << qama_last_error();
  return SolverHandle(solver);
}

/// A batch of layers in factor form and the same with J written out.
struct Batch {
  std::vector<float> factors, signs, couplings, fields;
  std::vector<std::int32_t> count;

  Batch() {
    Random random(11);
    const auto draw = [&random] { return static_cast<float>(2 * random.unit() - 1); };
    for (int k = 0; k < kBatch * kHeads * kTokens * kRank; ++k) factors.push_back(draw());
    for (int k = 0; k < kHeads * kRank; ++k) signs.push_back(draw() < 0 ? -1.0F : 1.0F);
    for (int k = 0; k < kBatch * kHeads * kTokens; ++k) fields.push_back(draw());
    for (int k = 0; k < kBatch; ++k) count.push_back(kTokens - 2 * k);
    couplings.resize(static_cast<std::size_t>(kBatch) * kHeads * kTokens * kTokens);
    for (int sample = 0; sample < kBatch; ++sample) {
      for (int t = 0; t < kHeads; ++t) {
        for (int i = 0; i < kTokens; ++i) {
          for (int j = 0; j < kTokens; ++j)
            coupling(sample, t, i, j) = real_coupling(sample, t, i, j);
        }
      }
    }
  }
  float& coupling(int sample, int t, int i, int j) {
    return couplings[static_cast<std::size_t>(((sample * kHeads + t) * kTokens + i) * kTokens + j)];
  }
  [[nodiscard]] float factor(int sample, int t, int i, int d) const {
    return factors[static_cast<std::size_t>(((sample * kHeads + t) * kTokens + i) * kRank + d)];
  }
  [[nodiscard]] float real_coupling(int sample, int t, int i, int j) const {
    float sum = 0;
    for (int d = 0; d < kRank; ++d) {
      sum += signs[static_cast<std::size_t>(t * kRank + d)] * factor(sample, t, i, d) *
             factor(sample, t, j, d);
    }
    return sum;
  }
  /// Eq. 3 of one sample, over its first `used` tokens.
  [[nodiscard]] double energy(int sample, int used, const std::vector<std::uint8_t>& spins) const {
    const auto s = [&](int t, int i) {
      return spins[static_cast<std::size_t>((sample * kHeads + t) * kTokens + i)] != 0;
    };
    double out = 0;
    for (int t = 0; t < kHeads; ++t) {
      for (int i = 0; i < used; ++i) {
        if (!s(t, i)) continue;
        out -= static_cast<double>(
            fields[static_cast<std::size_t>((sample * kHeads + t) * kTokens + i)]);
        for (int j = i + 1; j < used; ++j) {
          if (s(t, j)) out -= static_cast<double>(real_coupling(sample, t, i, j));
        }
        for (int u = t + 1; u < kHeads; ++u) {
          if (s(u, i)) out += static_cast<double>(kLambda);
        }
      }
    }
    return out;
  }
};

struct Answer {
  std::vector<std::uint8_t> spins = std::vector<std::uint8_t>(kBatch * kHeads * kTokens, 7);
  std::vector<double> energy = std::vector<double>(kBatch);
  friend bool operator==(const Answer&, const Answer&) = default;
};

Answer solve(qama_solver* solver, const Batch& batch, const std::int32_t* count,
             std::uint64_t seed) {
  Answer out;
  EXPECT_EQ(qama_solver_solve_f32(solver, kBatch, batch.couplings.data(), batch.fields.data(),
                                  kLambda, count, seed, out.spins.data(), out.energy.data()),
            0)
      << qama_last_error();
  return out;
}

TEST(CApiSolver, EnergiesAreThoseOfTheRealProblem) {
  const Batch batch;
  const SolverHandle solver = create(1);
  const Answer full = solve(solver.get(), batch, nullptr, 5);
  const Answer part = solve(solver.get(), batch, batch.count.data(), 5);
  for (int sample = 0; sample < kBatch; ++sample) {
    EXPECT_NEAR(full.energy[static_cast<std::size_t>(sample)],
                batch.energy(sample, kTokens, full.spins), 1e-4);
    const int used = batch.count[static_cast<std::size_t>(sample)];
    EXPECT_NEAR(part.energy[static_cast<std::size_t>(sample)],
                batch.energy(sample, used, part.spins), 1e-4);
    EXPECT_LT(full.energy[static_cast<std::size_t>(sample)], 0);
    for (int t = 0; t < kHeads; ++t) {
      for (int i = 0; i < kTokens; ++i) {
        const int spin = part.spins[static_cast<std::size_t>((sample * kHeads + t) * kTokens + i)];
        EXPECT_LE(spin, i < used ? 1 : 0);
      }
    }
  }
}

TEST(CApiSolver, ThreadsDoNotChangeTheAnswer) {
  const Batch batch;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const Answer one = solve(create(1).get(), batch, batch.count.data(), seed);
    for (const std::int32_t threads : {2, 3, 8}) {
      const SolverHandle solver = create(threads);
      EXPECT_TRUE(solve(solver.get(), batch, batch.count.data(), seed) == one) << threads;
      EXPECT_TRUE(solve(solver.get(), batch, batch.count.data(), seed) == one)
          << threads << ", again";
    }
  }
}

TEST(CApiSolver, ThreadsDoNotFollowAFork) {
  const Batch batch;
  auto solver = create(3);
  const Answer before = solve(solver.get(), batch, nullptr, 5);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    std::vector<std::uint8_t> spins(kBatch * kHeads * kTokens);
    const qama_status got =
        qama_solver_solve_f32(solver.get(), kBatch, batch.couplings.data(), batch.fields.data(),
                              kLambda, nullptr, 5, spins.data(), nullptr);
    solver.reset();
    _exit(got == static_cast<qama_status>(ErrorCode::unsupported) ? 7 : 1);
  }
  int ended = 0;
  ASSERT_EQ(waitpid(child, &ended, 0), child);
  EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 7) << ended;
  EXPECT_EQ(solve(solver.get(), batch, nullptr, 5), before);
}

TEST(CApiSolver, FactorsAndCouplingsAgree) {
  const Batch batch;
  const SolverHandle solver = create(2);
  for (const std::int32_t* count :
       {static_cast<const std::int32_t*>(nullptr), batch.count.data()}) {
    const Answer dense = solve(solver.get(), batch, count, 3);
    Answer factors;
    ASSERT_EQ(qama_solver_solve_factors_f32(solver.get(), kBatch, kRank, batch.factors.data(),
                                            batch.signs.data(), batch.fields.data(), kLambda, count,
                                            3, factors.spins.data(), factors.energy.data()),
              0)
        << qama_last_error();
    for (int sample = 0; sample < kBatch; ++sample) {
      const int used = count != nullptr ? count[sample] : kTokens;
      EXPECT_NEAR(factors.energy[static_cast<std::size_t>(sample)],
                  batch.energy(sample, used, factors.spins), 1e-4);
      // The two may round differently; three sweeps are few, so they are only about as good.
      EXPECT_NEAR(factors.energy[static_cast<std::size_t>(sample)],
                  dense.energy[static_cast<std::size_t>(sample)],
                  0.2 * std::fabs(dense.energy[static_cast<std::size_t>(sample)]));
    }
  }
}

/// Layers of any shape in factor form.
struct LongBatch {
  int heads, tokens, rank, samples;
  std::vector<float> factors, signs, fields;

  LongBatch(int h, int n, int d, int b, bool mixed_signs)
      : heads(h), tokens(n), rank(d), samples(b) {
    Random random(13);
    const auto draw = [&random] { return static_cast<float>(2 * random.unit() - 1); };
    for (int k = 0; k < b * h * n * d; ++k) factors.push_back(draw());
    for (int k = 0; k < h * d; ++k) signs.push_back(mixed_signs && draw() < 0 ? -1.0F : 1.0F);
    for (int k = 0; k < b * h * n; ++k) fields.push_back(draw());
  }
  /// Eq. 3 of one sample over its first `used` tokens: a running sum of the selected factors, sign
  /// by sign.
  [[nodiscard]] double energy(int sample, int used, const std::vector<std::uint8_t>& spins) const {
    double out = 0;
    std::vector<int> selected(static_cast<std::size_t>(used));
    for (int t = 0; t < heads; ++t) {
      std::vector<double> z(static_cast<std::size_t>(rank));
      for (int i = 0; i < used; ++i) {
        const auto row = static_cast<std::size_t>((sample * heads + t) * tokens + i);
        if (spins[row] == 0) continue;
        out += static_cast<double>(kLambda) * selected[static_cast<std::size_t>(i)]++ -
               static_cast<double>(fields[row]);
        for (int d = 0; d < rank; ++d) {
          const auto factor = static_cast<double>(
              factors[row * static_cast<std::size_t>(rank) + static_cast<std::size_t>(d)]);
          out -= static_cast<double>(signs[static_cast<std::size_t>(t * rank + d)]) * factor *
                 z[static_cast<std::size_t>(d)];
          z[static_cast<std::size_t>(d)] += factor;
        }
      }
    }
    return out;
  }
};

qama_status solve_factors(qama_solver* solver, const LongBatch& batch, const std::int32_t* count,
                          std::vector<std::uint8_t>& spins, std::vector<double>& energy) {
  spins.assign(static_cast<std::size_t>(batch.samples * batch.heads * batch.tokens), 7);
  energy.assign(static_cast<std::size_t>(batch.samples), 0.0);
  return qama_solver_solve_factors_f32(solver, batch.samples, batch.rank, batch.factors.data(),
                                       batch.signs.data(), batch.fields.data(), kLambda, count, 3,
                                       spins.data(), energy.data());
}

SolverHandle create(int heads, int tokens, int threads) {
  qama_solver_options options;
  qama_solver_options_init(&options);
  options.threads = threads;
  options.sweeps = 5;
  qama_solver* solver = nullptr;
  EXPECT_EQ(qama_solver_create(nullptr, heads, tokens, &options, &solver), 0) << qama_last_error();
  return SolverHandle(solver);
}

// With one sweep what a restart begins with still shows in some sample.
TEST(CApiSolver, TheKindOfStartIsUsed) {
  const Batch batch;
  std::vector<Answer> answers;
  for (const std::int32_t start : {0, 1, 2}) {
    qama_solver_options options;
    qama_solver_options_init(&options);
    options.sweeps = 1;
    options.restarts = 4;
    options.t_start = options.t_end = 3;
    options.start = start;
    qama_solver* solver = nullptr;
    ASSERT_EQ(qama_solver_create(nullptr, kHeads, kTokens, &options, &solver), 0)
        << qama_last_error();
    answers.push_back(solve(SolverHandle(solver).get(), batch, nullptr, 5));
  }
  EXPECT_NE(answers[0].spins, answers[1].spins);
  EXPECT_NE(answers[1].spins, answers[2].spins);
}

// Long heads on the factors and short ones as J, in one batch: energies are those of the real
// problem.
TEST(CApiSolver, LongHeadsInFactorForm) {
  for (const bool mixed : {false, true}) {
    for (const auto& [heads, tokens, shorter, rank] : {std::tuple{1, 130, 96, 6},
                                                       {1, 130, 95, 6},
                                                       {2, 2051, 2049, 6},
                                                       {2, 2051, 2047, 6},
                                                       {1, 20, 2, 64},
                                                       {1, 20, 1, 64},
                                                       {1, 20, 2, 63}}) {
      SCOPED_TRACE(std::to_string(heads) + " x " + std::to_string(tokens) + " x " +
                   std::to_string(rank) + ", " + std::to_string(shorter));
      const LongBatch batch(heads, tokens, rank, 2, mixed);
      const std::int32_t count[] = {tokens, shorter};
      std::vector<std::uint8_t> spins;
      std::vector<double> energy;
      const SolverHandle solver = create(heads, tokens, 2);
      ASSERT_EQ(solve_factors(solver.get(), batch, count, spins, energy), 0) << qama_last_error();
      for (int sample = 0; sample < 2; ++sample) {
        const double expected = batch.energy(sample, count[sample], spins);
        // One token has no coupling, and two may have one that no selection gains by.
        if (count[sample] > 2) {
          EXPECT_LT(expected, 0);
        } else {
          EXPECT_LE(expected, 0);
        }
        EXPECT_NEAR(energy[static_cast<std::size_t>(sample)], expected, 1e-6 * std::fabs(expected));
        for (int t = 0; t < heads; ++t) {
          for (int i = 0; i < tokens; ++i) {
            const int spin = spins[static_cast<std::size_t>((sample * heads + t) * tokens + i)];
            EXPECT_LE(spin, i < count[sample] ? 1 : 0);
          }
        }
      }
      std::vector<std::uint8_t> again;
      ASSERT_EQ(solve_factors(create(heads, tokens, 1).get(), batch, count, again, energy), 0);
      EXPECT_EQ(again, spins);
      // Another rank than the last one, and one that only J can have.
      ASSERT_EQ(
          solve_factors(solver.get(), LongBatch(heads, tokens, 3, 2, mixed), count, again, energy),
          0);
    }
  }
  std::vector<std::uint8_t> spins;
  std::vector<double> energy;
  EXPECT_EQ(solve_factors(create(1, 100, 1).get(), LongBatch(1, 100, kMaxRankLimit + 1, 1, true),
                          nullptr, spins, energy),
            0)
      << qama_last_error();
}

// More tokens than J may have: factors are solved, J is refused.
TEST(CApiSolver, MoreTokensThanJMayHave) {
  constexpr int kLong = kMaxDenseTokens + 1000;
  const LongBatch batch(1, kLong, 4, 1, false);
  const SolverHandle solver = create(1, kLong, 1);
  ASSERT_NE(solver, nullptr);
  std::vector<std::uint8_t> spins;
  std::vector<double> energy;
  ASSERT_EQ(solve_factors(solver.get(), batch, nullptr, spins, energy), 0) << qama_last_error();
  const double expected = batch.energy(0, kLong, spins);
  EXPECT_NEAR(energy[0], expected, 1e-6 * std::fabs(expected));
  EXPECT_EQ(qama_solver_solve_f32(solver.get(), 1, batch.factors.data(), batch.fields.data(),
                                  kLambda, nullptr, 1, spins.data(), nullptr),
            static_cast<qama_status>(ErrorCode::problem_too_large));
}

TEST(CApiSolver, EnergyMayBeNull) {
  const Batch batch;
  const SolverHandle solver = create(1);
  Answer out;
  EXPECT_EQ(qama_solver_solve_f32(solver.get(), kBatch, batch.couplings.data(), batch.fields.data(),
                                  kLambda, nullptr, 5, out.spins.data(), nullptr),
            0);
  EXPECT_EQ(out.spins, solve(solver.get(), batch, nullptr, 5).spins);
  EXPECT_EQ(qama_solver_solve_f32(solver.get(), 0, batch.couplings.data(), batch.fields.data(),
                                  kLambda, nullptr, 5, out.spins.data(), nullptr),
            0);
}

qama_status status(ErrorCode code) {
  return static_cast<qama_status>(code);
}

TEST(CApiSolver, CreateRefusesBadArguments) {
  qama_solver* solver = nullptr;
  EXPECT_EQ(qama_solver_create("gpu:", 2, 8, nullptr, &solver), status(ErrorCode::device_unknown));
  EXPECT_THAT(qama_last_error(), HasSubstr("gpu:"));
  EXPECT_EQ(solver, nullptr);
  EXPECT_EQ(qama_solver_create(nullptr, 2, 8, nullptr, nullptr),
            status(ErrorCode::invalid_argument));
  for (const auto& [heads, tokens] :
       {std::pair{0, 8}, {2, 0}, {1000, 8}, {2, INT32_MAX}, {-1, -1}}) {
    EXPECT_EQ(qama_solver_create(nullptr, heads, tokens, nullptr, &solver),
              status(ErrorCode::problem_too_large))
        << heads << " x " << tokens;
    EXPECT_EQ(solver, nullptr);
  }
  qama_solver_options options;
  qama_solver_options_init(&options);
  // What an older header had is enough, and what it did not have does not count.
  (qama_solver_options_init)(&options);
  EXPECT_EQ(options.struct_size, offsetof(qama_solver_options, rounds));
  options.rounds = -7;
  ASSERT_EQ(qama_solver_create(nullptr, 2, 8, &options, &solver), 0) << qama_last_error();
  qama_solver_destroy(solver);
  solver = nullptr;
  options.struct_size = 3;
  EXPECT_EQ(qama_solver_create(nullptr, 2, 8, &options, &solver),
            status(ErrorCode::invalid_argument));
  qama_solver_options_init(&options);
  options.threads = -1;
  EXPECT_EQ(qama_solver_create(nullptr, 2, 8, &options, &solver),
            status(ErrorCode::invalid_argument));
  for (const std::int32_t start : {-1, 3}) {
    qama_solver_options_init(&options);
    EXPECT_EQ(options.start, 0);
    options.start = start;
    EXPECT_EQ(qama_solver_create(nullptr, 2, 8, &options, &solver),
              status(ErrorCode::invalid_argument));
    EXPECT_THAT(qama_last_error(), HasSubstr("start " + std::to_string(start)));
  }
  const auto refuses = [&](const char* what, auto change) {
    qama_solver_options_init(&options);
    change(options);
    EXPECT_EQ(qama_solver_create(nullptr, 2, 8, &options, &solver),
              status(ErrorCode::invalid_argument))
        << what;
    EXPECT_THAT(qama_last_error(), HasSubstr(what));
  };
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  refuses("struct_size", [](auto& o) { o.struct_size = UINT32_MAX; });
  refuses("restarts", [](auto& o) { o.restarts = 0; });
  refuses("restarts", [](auto& o) { o.restarts = -5; });
  refuses("t_start", [](auto& o) { o.t_start = kNaN; });
  refuses("t_start", [](auto& o) { o.t_start = -1; });
  refuses("t_end", [](auto& o) { o.t_end = kNaN; });
  refuses("t_round", [](auto& o) { o.t_round = -1; });
  refuses("round_sweeps", [](auto& o) { o.round_sweeps = -1; });
  qama_solver_destroy(nullptr);
  qama_solver_options_init(nullptr);
}

TEST(CApiSolver, SolveRefusesBadArgumentsAndGoesOn) {
  Batch batch;
  const SolverHandle solver = create(2);
  Answer out;
  const auto call = [&](const float* couplings, const float* fields, float lambda,
                        const std::int32_t* count, std::int32_t size) {
    return qama_solver_solve_f32(solver.get(), size, couplings, fields, lambda, count, 1,
                                 out.spins.data(), out.energy.data());
  };
  const float* couplings = batch.couplings.data();
  const float* fields = batch.fields.data();
  EXPECT_EQ(call(nullptr, fields, kLambda, nullptr, kBatch), status(ErrorCode::invalid_argument));
  EXPECT_EQ(call(couplings, nullptr, kLambda, nullptr, kBatch),
            status(ErrorCode::invalid_argument));
  EXPECT_EQ(call(couplings, fields, kLambda, nullptr, -1), status(ErrorCode::invalid_argument));
  EXPECT_EQ(call(couplings, fields, -0x1p-30F, nullptr, kBatch),
            status(ErrorCode::problem_bad_value));
  EXPECT_THAT(qama_last_error(), HasSubstr("lambda is -9.31322575e-10"));
  // The same where heads are so long that they are solved on factors.
  qama_solver* long_heads = nullptr;
  ASSERT_EQ(qama_solver_create(nullptr, 1, 200, nullptr, &long_heads), 0) << qama_last_error();
  const std::vector<float> ones(std::size_t{200} * 4, 1.0F);
  std::vector<std::uint8_t> spins(200);
  for (const float lambda : {-1.0F, std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_EQ(qama_solver_solve_factors_f32(long_heads, 1, 4, ones.data(), ones.data(), ones.data(),
                                            lambda, nullptr, 1, spins.data(), nullptr),
              status(ErrorCode::problem_bad_value));
    EXPECT_THAT(qama_last_error(), HasSubstr("lambda is "));
  }
  qama_solver_destroy(long_heads);
  std::vector<std::int32_t> count(kBatch, kTokens);
  for (const std::int32_t bad : {0, -1, kTokens + 1}) {
    count[4] = bad;
    EXPECT_EQ(call(couplings, fields, kLambda, count.data(), kBatch),
              status(ErrorCode::invalid_argument));
  }
  batch.coupling(3, 1, 2, 5) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(call(couplings, fields, kLambda, nullptr, kBatch),
            status(ErrorCode::problem_bad_value));
  EXPECT_EQ(qama_solver_solve_factors_f32(solver.get(), 1, 0, couplings, fields, fields, 0, nullptr,
                                          1, out.spins.data(), nullptr),
            status(ErrorCode::invalid_argument));
  // Rounding in another order is no asymmetry; another number is.
  batch.coupling(3, 1, 2, 5) = batch.coupling(3, 1, 5, 2) + 1e-5F;
  EXPECT_EQ(call(couplings, fields, kLambda, nullptr, kBatch), 0) << qama_last_error();
  batch.coupling(3, 1, 2, 5) = batch.coupling(3, 1, 5, 2) + 1;
  EXPECT_EQ(call(couplings, fields, kLambda, nullptr, kBatch), status(ErrorCode::invalid_argument));
  EXPECT_THAT(qama_last_error(), HasSubstr("J of head 1 is not symmetric"));
  batch.coupling(3, 1, 2, 5) = 0;
  batch.coupling(3, 1, 5, 2) = 0;
  EXPECT_EQ(call(couplings, fields, kLambda, nullptr, kBatch), 0) << qama_last_error();
}

// The check goes by blocks: no pair is left out, and no number that is not one of a pair counts.
TEST(CApiSolver, AsymmetryIsFoundWhereverItIs) {
  constexpr std::int32_t kLong = 37;
  qama_solver* made = nullptr;
  ASSERT_EQ(qama_solver_create(nullptr, 1, kLong, nullptr, &made), 0) << qama_last_error();
  const SolverHandle solver(made);
  std::vector<float> couplings(kLong * kLong, 1.0F);
  for (std::size_t i = 0; i < kLong; ++i) couplings[i * kLong + i] = 1e9F;  // nobody reads it
  const std::vector<float> fields(kLong, 0.5F);
  std::vector<std::uint8_t> spins(kLong);
  const auto call = [&](std::int32_t used) {
    return qama_solver_solve_f32(solver.get(), 1, couplings.data(), fields.data(), 0, &used, 1,
                                 spins.data(), nullptr);
  };
  for (std::int32_t i = 0; i < kLong; ++i) {
    for (std::int32_t j = 0; j < i; ++j) {
      float& one = couplings[static_cast<std::size_t>(i * kLong + j)];
      one = 1.5F;
      EXPECT_EQ(call(kLong), status(ErrorCode::invalid_argument)) << i << ", " << j;
      EXPECT_EQ(call(i), 0) << i << ", " << j;  // a token that is not there
      one = 1.0F;
    }
  }
  EXPECT_EQ(call(kLong), 0) << qama_last_error();
}

}  // namespace
}  // namespace qama::hal::test
