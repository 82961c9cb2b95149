// First-version QAMA: its integers against the objective that they stand for, over every selection
// of a small layer, and its energies against the same sums. What the couplings and fields are is
// held against PyTorch by the goldens (tests/golden/small).
#include "ops/attention/qama_v1.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/test_support.h"

namespace qama::test {
namespace {

using namespace qama::ops;

constexpr std::int64_t kHeads = 2, kTokens = 3, kWidth = 4, kBits = 2;

class QamaV1 : public testing::Test {
 protected:
  QamaV1() {
    std::normal_distribution<float> normal(0.0F, 1.0F);
    for (auto& value : constants_) value = normal(random_);
    for (auto& value : qkv_) value = normal(random_);
    spec_.heads = kHeads;
    spec_.dim_head = kWidth;
    spec_.bits = kBits;
    spec_.quadratic = 0.7;
    spec_.linear = 1.3;
    spec_.penalty = 2.0;
    std::span<const float>* spans[] = {&spec_.coupling_scale, &spec_.coupling_shift,
                                       &spec_.field_scale,    &spec_.field_shift,
                                       &spec_.energy_scale,   &spec_.energy_shift};
    for (std::size_t i = 0; i < 6; ++i)
      *spans[i] = std::span(constants_).subspan(i * kHeads, kHeads);
  }

  /// Bit k of token i of head t of a selection: bit (t N + i) b + k of `all`.
  static std::uint64_t bit(std::uint32_t all, std::int64_t t, std::int64_t i, std::int64_t k) {
    return all >> ((t * kTokens + i) * kBits + k) & 1U;
  }
  static double level(std::uint32_t all, std::int64_t t, std::int64_t i) {
    return static_cast<double>(bit(all, t, i, 0) + 2 * bit(all, t, i, 1)) / 3.0;
  }
  /// What the selection is worth, from the workspace's couplings and fields.
  double objective(std::uint32_t all) const {
    double sum = 0;
    for (std::int64_t t = 0; t < kHeads; ++t) {
      for (std::int64_t i = 0; i < kTokens; ++i) {
        sum -= spec_.linear * w_.real_fields[t * kTokens + i] * level(all, t, i);
        for (std::int64_t j = 0; j < kTokens; ++j) {
          sum -= spec_.quadratic * w_.real_couplings[(t * kTokens + i) * kTokens + j] *
                 level(all, t, i) * level(all, t, j);
        }
      }
    }
    for (std::int64_t i = 0; i < kTokens; ++i) {
      for (std::int64_t k = 0; k < kBits; ++k) {
        sum += spec_.penalty * static_cast<double>(bit(all, 0, i, k) * bit(all, 1, i, k));
      }
    }
    return sum;
  }

  std::mt19937_64 random_{3};
  std::vector<float> constants_ = std::vector<float>(6 * kHeads);
  std::vector<float> qkv_ = std::vector<float>(kTokens * 3 * kHeads * kWidth);
  OwnedWorkspace<kQamaV1Pieces> memory_{
      {.heads = kHeads, .dim_head = kWidth, .tokens = kTokens, .bits = kBits}};
  const QamaV1Workspace& w_ = memory_.view();
  std::span<std::uint64_t> spins_{w_.spins, kHeads};
  QamaV1Spec spec_;
};

TEST_F(QamaV1, IntegersStandForTheObjective) {
  ASSERT_OK_AND_ASSIGN(const auto op, QamaV1Attention::create(spec_));
  hal::DenseView problem;
  ASSERT_OK(op->front(kTokens, qkv_.data(), w_, problem));
  ASSERT_OK(hal::validate(problem));
  EXPECT_EQ(problem.shape.tokens, kTokens * kBits);
  // Rounding moves an energy by at most half a unit a term.
  const double bound = 0.5 * (kHeads * (6 * 5 / 2 + 6) + 6) / problem.scale;
  for (std::uint32_t all = 0; all < 1U << (kHeads * kTokens * kBits); ++all) {
    for (std::int64_t t = 0; t < kHeads; ++t)
      spins_[static_cast<std::size_t>(t)] = all >> (6 * t) & 63U;
    const auto found = static_cast<double>(hal::energy_of(problem, spins_)) / problem.scale;
    ASSERT_NEAR(found, objective(all), bound) << all;
  }
}

TEST_F(QamaV1, EnergiesAddUpToTheObjectiveWithoutThePenalty) {
  ASSERT_OK_AND_ASSIGN(const auto op, QamaV1Attention::create(spec_));
  hal::DenseView problem;
  ASSERT_OK(op->front(kTokens, qkv_.data(), w_, problem));
  spec_.penalty = 0;
  for (const std::uint32_t all : {0U, 1U, 4095U, 2709U, 1386U}) {
    for (std::int64_t t = 0; t < kHeads; ++t)
      spins_[static_cast<std::size_t>(t)] = all >> (6 * t) & 63U;
    op->energies(kTokens, w_);
    double sum = 0;
    for (std::int64_t i = 0; i < kHeads * kTokens; ++i) sum += w_.energies[i];
    EXPECT_NEAR(sum, objective(all), 1e-12) << all;
  }
}

TEST_F(QamaV1, RefusesWhatItCannotCompute) {
  hal::DenseView problem;
  ASSERT_OK_AND_ASSIGN(const auto op, QamaV1Attention::create(spec_));
  qkv_[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_ERROR(problem_bad_value, op->front(kTokens, qkv_.data(), w_, problem));
  QamaV1Spec broken = spec_;
  broken.bits = 9;
  EXPECT_ERROR(invalid_argument, QamaV1Attention::create(broken));
  broken = spec_;
  broken.field_shift = {};
  EXPECT_ERROR(invalid_argument, QamaV1Attention::create(broken));
}

}  // namespace
}  // namespace qama::test
