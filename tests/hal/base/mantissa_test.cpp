#include "hal/base/mantissa.h"

#include <gtest/gtest.h>

#include <limits>

namespace qama {
namespace {

TEST(Mantissa, IsOddAndExact) {
  for (const double value : {1.0, -1.0, 0.75, 96.0, -1e300, 1.0 / 3, 5e-324, 1e-310,
                             std::numeric_limits<double>::max()}) {
    const Mantissa parts = split(value);
    EXPECT_EQ(parts.mantissa % 2 == 0, false) << value;
    EXPECT_EQ(std::ldexp(static_cast<double>(parts.mantissa), parts.exponent), value);
  }
  EXPECT_EQ(split(96).mantissa, 3);
  EXPECT_EQ(split(96).exponent, 5);
  EXPECT_EQ(split(-0.75).mantissa, -3);
  EXPECT_EQ(split(-0.75).exponent, -2);
  EXPECT_EQ(split(0).mantissa, 0);
  EXPECT_EQ(split(0).exponent, 0);
}

}  // namespace
}  // namespace qama
