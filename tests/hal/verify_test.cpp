// The host's check of answers, against the definition of the energy.
#include "hal/verify.h"

#include "tests/hal/cim/problems.h"

namespace qama::hal {
namespace {

using test::random_layer;
using test::random_spins;

TEST(Verifier, AgreesWithTheDefinition) {
  for (const auto& [heads, tokens] :
       {std::pair{1, 1}, {1, 64}, {2, 65}, {8, 49}, {8, 64}, {3, 130}}) {
    const auto layer = random_layer(heads, tokens, 7);
    auto verifier = Verifier::create({heads, tokens});
    ASSERT_OK(verifier);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto spins = random_spins({heads, tokens}, seed);
      const std::int64_t energy = energy_of(layer.problem(), spins);
      EXPECT_EQ(verifier.value().energy(layer.problem(), spins), energy);
      EXPECT_OK(verifier.value().verify_answer(layer.problem(), spins, energy));
      EXPECT_ERROR(device_bad_answer,
                   verifier.value().verify_answer(layer.problem(), spins, energy + 1));
    }
  }
}

TEST(Verifier, RefusesWrongSizes) {
  const auto layer = random_layer(2, 49, 7);
  auto verifier = Verifier::create({2, 49});
  ASSERT_OK(verifier);
  std::vector<std::uint64_t> spins(2, 0);
  EXPECT_OK(verifier.value().verify_answer(layer.problem(), spins, 0));
  EXPECT_ERROR(device_bad_answer,
               verifier.value().verify_answer(layer.problem(), std::span(spins).first(1), 0));
  spins[1] = std::uint64_t{1} << 49;
  EXPECT_ERROR(device_bad_answer, verifier.value().verify_answer(layer.problem(), spins, 0));
  const auto larger = random_layer(2, 50, 7);
  EXPECT_ERROR(problem_too_large, verifier.value().verify_answer(larger.problem(), spins, 0));
}

}  // namespace
}  // namespace qama::hal
