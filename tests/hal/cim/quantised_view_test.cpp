// A quantised layer: its two wire forms have the same energies, and spins come back as they went.
#include "hal/cim/quantised_view.h"

#include "hal/cim/quantise.h"
#include "tests/hal/cim/problems.h"

namespace qama::hal::cim {
namespace {

using test::random_layer;
using test::random_spins;
using test::selected;

Quantiser make_quantiser(const ProblemShape& shape, QuantiseOptions options = {}) {
  auto made = Quantiser::create(shape, options);
  EXPECT_OK(made);
  return std::move(made).value();
}

// -sigma^T M sigma, straight from the vendor's definition.
std::int64_t vendor_energy(std::span<const std::int8_t> m, const std::vector<int>& sigma) {
  std::int64_t energy = 0;
  const std::size_t n = sigma.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) energy -= m[i * n + j] * sigma[i] * sigma[j];
  }
  return energy;
}

TEST(QuantisedView, BothWireFormsHaveTheSameEnergies) {
  for (const auto& [heads, tokens] : {std::pair{8, 49}, {1, 130}, {8, 64}, {2, 3}}) {
    const auto layer = random_layer(heads, tokens, 3);
    const ProblemShape shape = layer.problem().shape;
    auto quantiser = make_quantiser(shape);
    ASSERT_OK(quantiser.run(layer.problem()));
    const QuantisedView& view = quantiser.view();
    EXPECT_LE(view.spins(), 550U);
    const auto width = view.spins();
    std::vector<std::int8_t> matrix(width * width);
    expand(view, matrix);
    for (std::size_t i = 0; i < width; ++i) EXPECT_EQ(matrix[i * width + i], 0);
    QuantisedEnergy packed(shape);
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const auto spins = random_spins(shape, seed);
      std::vector<int> sigma(width, 1);
      for (std::int32_t t = 0; t < heads; ++t) {
        for (std::int32_t i = 0; i < tokens; ++i) {
          sigma[static_cast<std::size_t>(t * tokens + i)] = selected(shape, spins, t, i) ? 1 : -1;
        }
      }
      EXPECT_EQ(vendor_energy(matrix, sigma),
                2 * packed(view, spins) - view.tie * view.ancillas * (view.ancillas - 1));
    }
  }
}

TEST(UnpackSpins, IsTheInverseOfPackingAndChecksTheRest) {
  const auto layer = random_layer(8, 49, 11);
  auto quantiser = make_quantiser({8, 49});
  ASSERT_OK(quantiser.run(layer.problem()));
  const QuantisedView& block = quantiser.view();
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto spins = random_spins(block.shape, seed);
    std::vector<std::uint8_t> packed((block.spins() + 7) / 8);
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(block.spins()); ++i) {
      if (i >= 392 || selected(block.shape, spins, i / 49, i % 49)) {
        packed[static_cast<std::size_t>(i / 8)] |= static_cast<std::uint8_t>(1U << (i % 8));
      }
    }
    std::vector<std::uint64_t> out(8);
    ASSERT_OK(unpack_spins(block, packed, out));
    EXPECT_EQ(out, spins);
    EXPECT_ERROR(device_bad_answer,
                 unpack_spins(block, std::span(packed).first(packed.size() - 1), out));
    auto wrong = packed;
    wrong[49] &= static_cast<std::uint8_t>(~1U);  // spin 392: the first ancilla
    EXPECT_ERROR(device_bad_answer, unpack_spins(block, wrong, out));
    if (block.spins() % 8 != 0) {
      wrong = packed;
      wrong.back() |= 0x80;
      EXPECT_ERROR(device_bad_answer, unpack_spins(block, wrong, out));
    }
  }
}

}  // namespace
}  // namespace qama::hal::cim
