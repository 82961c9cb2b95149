// The operators that only move or add up: patches, pooling, token embedding, layer norm's class,
// softmax attention over several heads.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "ops/attention/softmax.h"
#include "ops/layer_norm.h"
#include "ops/patch_embedding.h"
#include "ops/pooling.h"
#include "ops/reference/reference.h"
#include "ops/token_embedding.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using namespace qama::ops;

TEST(PatchUnfold, OrderIsRowColumnChannel) {
  // Two channels of 4 x 6, patches of 2: value = 100 c + 10 y + x.
  const PatchUnfold op{4, 6, 2, 2};
  EXPECT_EQ(op.patches(), 6);
  EXPECT_EQ(op.patch_dim(), 8);
  std::vector<float> image;
  for (int c = 0; c < 2; ++c) {
    for (int y = 0; y < 4; ++y) {
      for (int x = 0; x < 6; ++x) image.push_back(static_cast<float>(100 * c + 10 * y + x));
    }
  }
  std::vector<float> out(48);
  op.run(image.data(), out.data());
  EXPECT_EQ(std::vector<float>(out.begin(), out.begin() + 8),
            (std::vector<float>{0, 100, 1, 101, 10, 110, 11, 111}));
  EXPECT_EQ(std::vector<float>(out.end() - 8, out.end()),
            (std::vector<float>{24, 124, 25, 125, 34, 134, 35, 135}));
}

TEST(PatchUnfold, ThreeChannels) {
  const PatchUnfold op{2, 2, 3, 2};
  const std::vector<float> image{0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23};
  std::vector<float> out(12);
  op.run(image.data(), out.data());
  EXPECT_EQ(out, (std::vector<float>{0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 13, 23}));
}

TEST(PatchUnfold, OneChannel) {
  const PatchUnfold op{2, 4, 1, 2};
  const std::vector<float> image{0, 1, 2, 3, 4, 5, 6, 7};
  std::vector<float> out(8);
  op.run(image.data(), out.data());
  EXPECT_EQ(out, (std::vector<float>{0, 1, 4, 5, 2, 3, 6, 7}));
}

TEST(Pooling, TokenGrid) {
  const TokenPool op{2, 4, 2, 2, 3};
  EXPECT_EQ(op.tokens(), 2);
  std::vector<float> x(24);
  std::iota(x.begin(), x.end(), 0.0F);
  std::vector<float> y(6);
  op.run(x.data(), y.data());
  // Tokens 0, 1, 4, 5 begin at 0, 3, 12, 15: mean 7.5.
  EXPECT_EQ(y, (std::vector<float>{7.5F, 8.5F, 9.5F, 13.5F, 14.5F, 15.5F}));
}

TEST(Pooling, Mean) {
  const std::vector<float> x{1, 2, 3, 5};
  std::vector<float> y(2);
  mean_pool(2, 2, x.data(), y.data());
  EXPECT_EQ(y, (std::vector<float>{2.0F, 3.5F}));
}

TEST(Pooling, Max) {
  const std::vector<float> x{1, -2, -7, 3, -5, -7, 2, -4, -9};
  std::vector<float> y(3);
  max_pool(3, 3, x.data(), y.data());
  EXPECT_EQ(y, (std::vector<float>{3.0F, -2.0F, -7.0F}));
  max_pool(1, 3, x.data() + 6, y.data());
  EXPECT_EQ(y, (std::vector<float>{2.0F, -4.0F, -9.0F}));
}

TEST(TokenEmbedding, RowsOfTheTable) {
  const std::vector<float> table{0, 1, 10, 11, 20, 21};
  const TokenEmbedding op{table, 2};
  EXPECT_EQ(op.vocabulary(), 3);
  const std::vector<std::int32_t> ids{2, 0, 1};
  std::vector<float> out(8, -1.0F);
  op.run(ids.data(), 2, 4, out.data());
  EXPECT_EQ(out, (std::vector<float>{20, 21, 0, 1, 0, 0, 0, 0}));
  const std::vector<float> position{1, 1, 2, 2};
  add_position(2, 2, position.data(), out.data());
  EXPECT_EQ(out, (std::vector<float>{21, 22, 2, 3, 0, 0, 0, 0}));
}

TEST(TokenEmbedding, NeighboursStandBesideAToken) {
  const std::vector<float> table{1, 2, 10, 20, 100, 200};
  const TokenEmbedding op{table, 2, 1};
  const std::vector<std::int32_t> ids{2, 0, 1};
  std::vector<float> out(24, -1.0F);
  op.run(ids.data(), 3, 4, out.data());
  EXPECT_EQ(out, (std::vector<float>{0, 0, 100, 200, 1, 2, 100, 200, 1, 2, 10, 20,
                                     1, 2, 10,  20,  0, 0, 0,   0,   0, 0, 0,  0}));
}

TEST(TokenEmbedding, ScoresOfNgramsStandBehindTheVectors) {
  const std::vector<float> table{1, 2, 3};
  std::vector<float> scores(7);
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = std::ldexp(1.0F, static_cast<int>(i));
  const TokenEmbedding op{table, 1, 0, scores, 2};
  const std::vector<std::int32_t> ids{2, 0, 2};
  std::vector<float> out(8, -1.0F);
  op.run(ids.data(), 3, 4, out.data());
  const auto of = [&](std::uint32_t hash) { return scores[hash % 7]; };
  const std::uint32_t two = ngram_hash(0, 2);
  const std::uint32_t zero = ngram_hash(0, 0);
  EXPECT_EQ(out, (std::vector<float>{3, of(two), 1, of(zero) + of(ngram_hash(zero, 2)), 3,
                                     of(two) + of(ngram_hash(two, 0)), 0, 0}));
  // Pinned: model files hold a table that these numbers index.
  EXPECT_EQ(two, 821347078U);
  EXPECT_EQ(ngram_hash(two, 0), 2016314792U);
}

TEST(LayerNorm, SizesAreChecked) {
  const std::vector<float> three(3);
  const std::vector<float> two(2);
  EXPECT_ERROR(invalid_argument, LayerNorm::create(three, two, 1e-5));
  EXPECT_ERROR(invalid_argument, LayerNorm::create({}, {}, 1e-5));
  ASSERT_OK_AND_ASSIGN(const auto op, LayerNorm::create(three, three, 1e-5));
  EXPECT_EQ(op.dim(), 3);
}

TEST(SoftmaxAttention, HeadsAreApart) {
  const std::int64_t heads = 3;
  const std::int64_t dim_head = 5;
  const std::int64_t tokens = 11;
  std::vector<float> qkv(static_cast<std::size_t>(tokens * 3 * heads * dim_head));
  for (std::size_t i = 0; i < qkv.size(); ++i) qkv[i] = std::sin(static_cast<float>(i) * 0.7F);
  std::vector<float> out(static_cast<std::size_t>(tokens * heads * dim_head));
  std::vector<float> expected(out.size());
  SoftmaxAttention op{heads, dim_head};
  std::vector<float> scratch(op.scratch_bytes(tokens) / sizeof(float));
  op.run(tokens, qkv.data(), out.data(), scratch.data());
  op.kernels = &reference_kernels();
  op.run(tokens, qkv.data(), expected.data(), scratch.data());
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], expected[i], 2e-6);

  // By hand: the first token, second head, first column.
  const auto at = [&](std::int64_t token, std::int64_t which, std::int64_t d) {
    return static_cast<double>(qkv[static_cast<std::size_t>(token * 45 + which * 15 + 5 + d)]);
  };
  double total = 0;
  double sum = 0;
  for (std::int64_t j = 0; j < tokens; ++j) {
    double dot = 0;
    for (std::int64_t d = 0; d < 5; ++d) dot += at(0, 0, d) * at(j, 1, d);
    total += std::exp(dot / std::sqrt(5.0));
    sum += std::exp(dot / std::sqrt(5.0)) * at(j, 2, 0);
  }
  EXPECT_NEAR(out[5], sum / total, 2e-6);
}

}  // namespace
}  // namespace qama::test
