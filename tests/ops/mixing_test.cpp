// The rival attention kinds on every target of this machine against their plain versions, with
// fewer tokens than they were made for, too. A kind is added by one TEST_P.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "hal/base/aligned.h"
#include "ops/attention/bigbird.h"
#include "ops/attention/linformer.h"
#include "ops/attention/longformer.h"
#include "ops/attention/performer.h"
#include "ops/attention/reformer.h"
#include "ops/reference/mixing.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using namespace qama::ops;

class Mixing : public testing::TestWithParam<const KernelTable*> {
 protected:
  std::vector<float> floats(std::int64_t count, double deviation = 1.0) {
    std::normal_distribution<double> normal(0.0, deviation);
    std::vector<float> out(static_cast<std::size_t>(count));
    for (float& v : out) v = static_cast<float>(normal(random_));
    return out;
  }

  /// The operator's answer; the scratch is exactly as long as asked for, and guarded.
  std::vector<float> answer(const MixingAttention& op, std::int64_t tokens,
                            const std::vector<float>& qkv) {
    const std::size_t size = op.scratch_floats();
    AlignedBuffer<float> scratch(size + 16);
    for (std::size_t i = 0; i < scratch.size(); ++i) scratch[i] = -7.0F;
    std::vector<float> out(static_cast<std::size_t>(tokens * op.shape().inner()) + 1, -9.0F);
    op.run(tokens, qkv.data(), out.data(), scratch.data());
    for (std::size_t i = size; i < scratch.size(); ++i)
      EXPECT_EQ(scratch[i], -7.0F) << "scratch overrun";
    EXPECT_EQ(out.back(), -9.0F);
    out.pop_back();
    return out;
  }

  static void expect_near(const std::vector<float>& got, const std::vector<double>& expected,
                          double bound) {
    ASSERT_EQ(got.size(), expected.size());
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double difference = std::fabs(static_cast<double>(got[i]) - expected[i]);
      ASSERT_TRUE(std::isfinite(difference)) << i;
      worst = std::max(worst, difference);
    }
    EXPECT_LE(worst, bound);
  }

  const KernelTable& kernels() const { return *GetParam(); }
  std::mt19937_64 random_{7};
};

constexpr MixingShape kShapes[] = {{64, 2, 16}, {50, 3, 9}, {130, 1, 5}, {1, 1, 4}};

TEST_P(Mixing, Longformer) {
  for (const MixingShape& shape : kShapes) {
    const auto qkv = floats(shape.tokens * 3 * shape.inner());
    for (const auto& [window, global] : {std::pair{0, 0}, {3, 0}, {8, 2}, {1, 20}, {500, 500}}) {
      ASSERT_OK_AND_ASSIGN(const auto op,
                           LongformerAttention::create(shape, window, global, kernels()));
      for (const std::int64_t tokens : {shape.tokens, (shape.tokens + 2) / 3}) {
        SCOPED_TRACE(std::to_string(tokens) + " window " + std::to_string(window));
        const auto sees = [w = window, g = global](std::int64_t i, std::int64_t j) {
          return std::abs(i - j) <= w || i < g || j < g;
        };
        expect_near(answer(*op, tokens, qkv), reference_sparse(shape, tokens, qkv.data(), sees),
                    2e-6);
      }
    }
  }
}

TEST_P(Mixing, BigBird) {
  for (const MixingShape& shape : kShapes) {
    const auto qkv = floats(shape.tokens * 3 * shape.inner());
    for (const BigBirdSpec spec : {BigBirdSpec{8, 1, 1, 2, {}}, BigBirdSpec{16, 0, 0, 1, {}},
                                   BigBirdSpec{5, 2, 0, 0, {}}, BigBirdSpec{64, 1, 9, 3, {}}}) {
      const std::int64_t blocks = (shape.tokens + spec.block - 1) / spec.block;
      std::vector<std::int32_t> random(static_cast<std::size_t>(blocks * spec.random_blocks));
      for (auto& block : random) {
        block = static_cast<std::int32_t>(random_() % static_cast<std::uint64_t>(blocks));
      }
      BigBirdSpec full = spec;
      full.random = random;
      auto op = BigBirdAttention::create(shape, full, kernels());
      ASSERT_TRUE(op.ok()) << describe(op);
      for (const std::int64_t tokens : {shape.tokens, (shape.tokens + 2) / 3}) {
        SCOPED_TRACE(std::to_string(tokens) + " of blocks of " + std::to_string(spec.block));
        const auto sees = [&](std::int64_t i, std::int64_t j) {
          const std::int64_t from = i / spec.block;
          const std::int64_t to = j / spec.block;
          const auto* row = random.data() + from * spec.random_blocks;
          return std::abs(from - to) <= spec.window_blocks || from < spec.global_blocks ||
                 to < spec.global_blocks ||
                 std::find(row, row + spec.random_blocks, to) != row + spec.random_blocks;
        };
        expect_near(answer(**op, tokens, qkv), reference_sparse(shape, tokens, qkv.data(), sees),
                    2e-6);
      }
    }
  }
}

TEST_P(Mixing, Linformer) {
  for (const MixingShape& shape : kShapes) {
    const auto qkv = floats(shape.tokens * 3 * shape.inner());
    for (const std::int64_t rank : {1, 7, 32}) {
      const auto proj_k = floats(rank * shape.tokens, 0.3);
      const auto proj_v = floats(rank * shape.tokens, 0.3);
      auto op = LinformerAttention::create(shape, rank, proj_k, proj_v, kernels());
      ASSERT_TRUE(op.ok()) << describe(op);
      for (const std::int64_t tokens : {shape.tokens, (shape.tokens + 2) / 3}) {
        SCOPED_TRACE(std::to_string(tokens) + " rank " + std::to_string(rank));
        expect_near(answer(**op, tokens, qkv),
                    reference_linformer(shape, tokens, qkv.data(), rank, proj_k, proj_v), 2e-5);
      }
    }
  }
}

TEST_P(Mixing, Performer) {
  for (const MixingShape& shape : kShapes) {
    for (const double deviation : {0.3, 1.0, 3.0}) {
      const auto qkv = floats(shape.tokens * 3 * shape.inner(), deviation);
      for (const std::int64_t count : {3, 16, 40}) {
        const auto features = floats(count * shape.dim_head);
        auto op = PerformerAttention::create(shape, count, features, kernels());
        ASSERT_TRUE(op.ok()) << describe(op);
        for (const std::int64_t tokens : {shape.tokens, (shape.tokens + 2) / 3}) {
          SCOPED_TRACE(std::to_string(tokens) + " features " + std::to_string(count));
          expect_near(answer(**op, tokens, qkv),
                      reference_performer(shape, tokens, qkv.data(), count, features),
                      2e-5 * deviation);
        }
      }
    }
  }
}

TEST_P(Mixing, Reformer) {
  for (const MixingShape& shape : kShapes) {
    const auto qkv = floats(shape.tokens * 2 * shape.inner());
    for (const ReformerSpec spec : {ReformerSpec{1, 2, 4, {}}, ReformerSpec{2, 4, 16, {}},
                                    ReformerSpec{4, 8, 7, {}}, ReformerSpec{2, 4, 500, {}}}) {
      const auto rotations = floats(spec.hashes * shape.dim_head * (spec.buckets / 2));
      ReformerSpec full = spec;
      full.rotations = rotations;
      auto op = ReformerAttention::create(shape, full, kernels());
      ASSERT_TRUE(op.ok()) << describe(op);
      for (const std::int64_t tokens : {shape.tokens, (shape.tokens + 2) / 3}) {
        SCOPED_TRACE(std::to_string(tokens) + " chunk " + std::to_string(spec.chunk));
        expect_near(answer(**op, tokens, qkv), reference_reformer(shape, tokens, qkv.data(), full),
                    2e-6);
      }
    }
  }
}

TEST_P(Mixing, WrongSizesAreRefused) {
  const MixingShape shape{20, 2, 4};
  const std::vector<float> few(7);
  const std::vector<std::int32_t> outside(10, 5);
  EXPECT_EQ(LinformerAttention::create(shape, 3, few, few, kernels()).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(PerformerAttention::create(shape, 3, few, kernels()).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(ReformerAttention::create(shape, {1, 4, 4, few}, kernels()).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(ReformerAttention::create(shape, {1, 3, 4, few}, kernels()).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(BigBirdAttention::create(shape, {4, 1, 1, 1, {}}, kernels()).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(BigBirdAttention::create(shape, {4, 1, 1, 2, outside}, kernels()).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(BigBirdAttention::create(shape, {0, 1, 1, 2, outside}, kernels()).error().code,
            ErrorCode::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(Targets, Mixing,
                         testing::ValuesIn(kernel_tables().begin(), kernel_tables().end()),
                         [](const auto& suite) { return std::string(suite.param->name); });

}  // namespace
}  // namespace qama::test
