// What the vendor's terminal gets to read.
#include "hal/cim/vendor_messages.h"

#include "tests/test_support.h"

namespace qama::hal::cim {
namespace {

TEST(MatrixCsv, IsOneLineARow) {
  const std::vector<std::int8_t> matrix{0, -127, 5, -127, 0, 1, 5, 1, 0};
  EXPECT_EQ(matrix_csv(matrix, 3), "0,-127,5\n-127,0,1\n5,1,0\n");
}

}  // namespace
}  // namespace qama::hal::cim
