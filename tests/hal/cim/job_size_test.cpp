// Sizes of a job: the bytes that PROTOCOL.md gives for them, and what cannot be a job.
#include "hal/job_size.h"

#include <gtest/gtest.h>

#include "tests/hal/cim/problems.h"

namespace qama::hal {
namespace {

TEST(JobGauge, GivesTheBytesOfTheProtocol) {
  const ProblemShape shape{4, 16};
  auto gauge = gauge_jobs(shape);
  ASSERT_OK(gauge);
  EXPECT_FALSE((*gauge)->size());
  const ProblemBuffer first = test::random_layer(4, 16, 1);
  const ProblemBuffer second = test::random_layer(4, 16, 2);
  EXPECT_OK((*gauge)->add(first.problem()));
  EXPECT_OK((*gauge)->add(second.problem()));
  const auto size = (*gauge)->size();
  ASSERT_TRUE(size);
  EXPECT_EQ(size->spins, 64);
  EXPECT_GE(size->ancillas, 1);
  const auto all = static_cast<std::size_t>(64 + size->ancillas);
  EXPECT_EQ(size->block_request, 32 + 56 + 2 * 64 + 4 * (16 * 15 / 2));
  EXPECT_EQ(size->dense_request, 32 + 56 + all * (all - 1) / 2);
  EXPECT_EQ(size->reply, 32 + 80 + (all + 7) / 8);
  EXPECT_GT(size->coupling_deviation, 0);
  EXPECT_GT(size->mean_error, 0);
}

TEST(JobGauge, RefusesALayerThatNoMachineHolds) {
  const auto gauge = gauge_jobs({4, 200});
  ASSERT_FALSE(gauge.ok());
  EXPECT_EQ(gauge.error().code, ErrorCode::problem_too_large);
}

}  // namespace
}  // namespace qama::hal
