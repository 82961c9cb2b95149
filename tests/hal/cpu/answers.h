// Answers of solvers, to be compared whole. For tests; hal_test_support.h does without GoogleTest.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "hal/problem.h"

namespace qama::hal::test {

struct Answer {
  std::vector<std::uint64_t> spins;
  SolveResult result;
};

/// Spins and everything that is counted; not the times, nor who solved it.
inline void expect_same(const Answer& got, const Answer& expected) {
  EXPECT_EQ(got.spins, expected.spins);
  EXPECT_EQ(got.result.energy, expected.result.energy);
  EXPECT_EQ(got.result.flips, expected.result.flips);
  EXPECT_EQ(got.result.proposals, expected.result.proposals);
  EXPECT_EQ(got.result.restarts, expected.result.restarts);
  EXPECT_EQ(got.result.sweeps, expected.result.sweeps);
}

}  // namespace qama::hal::test
