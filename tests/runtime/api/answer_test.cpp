// From logits to answers.
#include "runtime/api/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "tests/test_support.h"

namespace qama::runtime {
namespace {

TEST(Answer, SoftmaxSumsToOneWhateverTheSizeOfLogits) {
  const std::array<float, 3> logits{1000.0F, 1001.0F, 999.0F};
  std::array<double, 3> p{};
  ASSERT_OK(softmax(logits, p));
  EXPECT_NEAR(p[0] + p[1] + p[2], 1.0, 1e-15);
  EXPECT_NEAR(p[1] / p[0], std::exp(1.0), 1e-12);
  EXPECT_NEAR(p[0] / p[2], std::exp(1.0), 1e-12);
}

TEST(Answer, TheFirstOfEqualClassesComesFirst) {
  const std::array<float, 5> logits{-1.0F, 2.0F, 0.5F, 2.0F, -1.0F};
  EXPECT_EQ(argmax(logits), 1);
  std::array<Guess, 5> top;
  ASSERT_OK(rank(logits, top));
  std::array<std::int32_t, 5> order{};
  for (std::size_t i = 0; i < 5; ++i) order[i] = top[i].class_index;
  EXPECT_THAT(order, testing::ElementsAre(1, 3, 2, 0, 4));
}

// Far-off classes have probability 0, and still an order.
TEST(Answer, RanksByLogitsNotByProbabilities) {
  const std::array<float, 3> logits{-3000.0F, 0.0F, -2000.0F};
  std::array<Guess, 3> top;
  ASSERT_OK(rank(logits, top));
  EXPECT_EQ(top[0].probability, 1.0);
  EXPECT_EQ(top[1].probability, 0.0);
  EXPECT_EQ(top[1].class_index, 2);
  EXPECT_EQ(top[2].class_index, 0);
}

TEST(Answer, RankHasTheProbabilitiesOfSoftmax) {
  const std::array<float, 4> logits{0.3F, -1.7F, 2.9F, 0.0F};
  std::array<double, 4> p{};
  std::array<Guess, 4> top;
  ASSERT_OK(softmax(logits, p));
  ASSERT_OK(rank(logits, top));
  for (const Guess& guess : top) {
    EXPECT_EQ(guess.probability, p[static_cast<std::size_t>(guess.class_index)]);
  }
}

TEST(Answer, RefusesLogitsThatAreNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const std::array<float, 2> logits{0.0F, bad};
    std::array<double, 2> p{};
    std::array<Guess, 2> top;
    EXPECT_ERROR(internal, softmax(logits, p));
    EXPECT_ERROR(internal, rank(logits, top));
  }
}

}  // namespace
}  // namespace qama::runtime
