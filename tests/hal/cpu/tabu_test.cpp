// The loops of the tabu search: every instruction set against the plain reference.
#include "hal/cpu/tabu/tabu.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

#include "hal/base/aligned.h"

namespace qama::hal::cpu {
namespace {

struct Arrays {
  AlignedBuffer<double> fields, signs, free_from, row;
  explicit Arrays(std::int32_t count)
      : fields(static_cast<std::size_t>(count)),
        signs(static_cast<std::size_t>(count)),
        free_from(static_cast<std::size_t>(count)),
        row(static_cast<std::size_t>(count)) {}
};

// Few different costs, so that there are equal ones; steps that forbid none, some or all.
TEST(Tabu, EveryKernelPicksTheSameFlip) {
  std::mt19937 random(50);
  int none = 0, aspired = 0;
  for (int k = 0; k < 3000; ++k) {
    const std::int32_t blocks = 1 + static_cast<std::int32_t>(random() % 9);
    const std::int32_t count = blocks * kTabuBlock;
    const std::int32_t size = count - static_cast<std::int32_t>(random() % kTabuBlock);
    Arrays arrays(count);
    for (std::int32_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const bool padding = i >= size;
      arrays.fields[at] = padding ? std::numeric_limits<double>::infinity()
                                  : static_cast<double>(random() % 7) / 2 - 1;
      arrays.signs[at] = padding || random() % 2 == 0 ? 1 : -1;
      arrays.free_from[at] = static_cast<double>(random() % 10);
    }
    TabuMoves moves;
    moves.fields = arrays.fields.data();
    moves.signs = arrays.signs.data();
    moves.free_from = arrays.free_from.data();
    moves.count = count;
    moves.step = static_cast<double>(random() % 12) - 1;
    moves.aspired = static_cast<double>(random() % 9) / 2 - 3;
    moves.from = static_cast<std::int32_t>(random() % static_cast<unsigned>(blocks)) * kTabuBlock;
    const std::int32_t expected = pick_reference(moves);
    if (expected < 0) {
      ++none;
    } else {
      const auto at = static_cast<std::size_t>(expected);
      ASSERT_LT(expected, size);
      if (arrays.free_from[at] > moves.step) {
        ++aspired;
        EXPECT_LT(arrays.fields[at] * arrays.signs[at], moves.aspired);
      }
    }
    for (const TabuKernel& kernel : tabu_kernels()) {
      if (!kernel.supported()) continue;
      EXPECT_EQ(kernel.pick(moves), expected) << kernel.name << ", case " << k;
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(none, 0);
  EXPECT_GT(aspired, 0);
}

TEST(Tabu, EveryKernelAddsTheSameRow) {
  std::mt19937 random(51);
  std::uniform_real_distribution<double> value(-1e9, 1e9);
  for (std::int32_t count = kTabuBlock; count <= 20 * kTabuBlock; count += kTabuBlock) {
    for (const double change : {1.0, -1.0}) {
      Arrays expected(count), got(count);
      for (std::int32_t i = 0; i < count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        expected.fields[at] = value(random) * 1e-12;
        expected.row[at] = value(random);
      }
      const Arrays before = [&] {
        Arrays copy(count);
        std::copy_n(expected.fields.data(), count, copy.fields.data());
        return copy;
      }();
      add_row_reference(expected.fields.data(), expected.row.data(), change, count);
      for (const TabuKernel& kernel : tabu_kernels()) {
        if (!kernel.supported()) continue;
        std::copy_n(before.fields.data(), count, got.fields.data());
        kernel.add_row(got.fields.data(), expected.row.data(), change, count);
        for (std::int32_t i = 0; i < count; ++i) {
          const auto at = static_cast<std::size_t>(i);
          EXPECT_EQ(got.fields[at], expected.fields[at]) << kernel.name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace qama::hal::cpu
