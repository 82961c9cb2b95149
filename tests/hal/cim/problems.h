// Problems for the tests of this directory: random layers of the statistics that real ones have,
// and small integer problems for exact comparisons.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "hal/lower/problem_builder.h"
#include "hal/problem.h"
#include "tests/test_support.h"

namespace qama::test {

/// A layer of the class "norm0" of spec/qama-operator.md: couplings of mean 0 and deviation 1,
/// fields of deviation 1 times rho = 0.16 N, lambda = 0.8 N sqrt(2/pi) / (H-1).
inline hal::ProblemBuffer random_layer(std::int32_t heads, std::int32_t tokens,
                                       std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  const auto n = static_cast<std::size_t>(tokens);
  std::vector<float> couplings(static_cast<std::size_t>(heads) * n * n);
  std::vector<float> fields(static_cast<std::size_t>(heads) * n);
  for (std::size_t t = 0; t < static_cast<std::size_t>(heads); ++t) {
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = i + 1; j < n; ++j) {
        couplings[(t * n + i) * n + j] = couplings[(t * n + j) * n + i] = normal(random);
      }
      fields[t * n + i] = 0.16F * static_cast<float>(tokens) * normal(random);
    }
  }
  const float lambda =
      heads > 1 ? 0.8F * static_cast<float>(tokens) * 0.797885F / static_cast<float>(heads - 1)
                : 0.0F;
  auto buffer = hal::ProblemBuffer::create({heads, tokens});
  EXPECT_OK(buffer);
  EXPECT_OK(buffer.value().build({heads, tokens}, couplings.data(), tokens, fields.data(), tokens,
                                 lambda));
  return std::move(buffer).value();
}

/// Couplings in -limit .. limit, fields in -limit / 2 .. limit / 2, penalty limit / 2.
inline hal::ProblemBuffer small_integers(std::int32_t heads, std::int32_t tokens,
                                         std::int16_t limit, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int> value(-limit, limit);
  auto buffer = hal::ProblemBuffer::create({heads, tokens});
  EXPECT_OK(buffer);
  const auto target = buffer.value().target({heads, tokens});
  const auto stride = static_cast<std::size_t>(hal::row_stride(tokens));
  for (std::int32_t t = 0; t < heads; ++t) {
    std::int16_t* head = target.couplings + static_cast<std::size_t>(t * tokens) * stride;
    for (std::int32_t i = 0; i < tokens; ++i) {
      for (std::int32_t j = i + 1; j < tokens; ++j) {
        const auto w = static_cast<std::int16_t>(value(random));
        head[i * stride + j] = head[j * stride + i] = w;
      }
      target.fields[t * stride + i] = static_cast<std::int16_t>(value(random) / 2);
    }
  }
  target.problem->penalty = heads > 1 ? static_cast<std::int16_t>(limit / 2) : std::int16_t{0};
  EXPECT_OK(hal::validate(*target.problem));
  return std::move(buffer).value();
}

inline std::vector<std::uint64_t> random_spins(const hal::ProblemShape& shape, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const std::int32_t words = hal::words_per_head(shape.tokens);
  std::vector<std::uint64_t> spins(static_cast<std::size_t>(shape.heads * words));
  for (std::int32_t t = 0; t < shape.heads; ++t) {
    for (std::int32_t i = 0; i < shape.tokens; ++i) {
      if ((random() & 1U) != 0) spins[t * words + i / 64] |= std::uint64_t{1} << (i % 64);
    }
  }
  return spins;
}

inline bool selected(const hal::ProblemShape& shape, const std::vector<std::uint64_t>& spins,
                     std::int32_t t, std::int32_t i) {
  return ((spins[static_cast<std::size_t>(t * hal::words_per_head(shape.tokens) + i / 64)] >>
           (i % 64)) &
          1U) != 0;
}

}  // namespace qama::test
