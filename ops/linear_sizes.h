// What every implementation of Linear checks first. Internal to ops.
#pragma once

#include <span>

#include "hal/base/result.h"
#include "ops/linear.h"

namespace qama::ops {

/// INVALID_ARGUMENT unless the spans hold what `spec` says and its rows are positive.
inline Status check_linear_sizes(const LinearSpec& spec, std::span<const float> weights,
                                 std::span<const float> bias) {
  const std::size_t expected =
      static_cast<std::size_t>(spec.in) * static_cast<std::size_t>(spec.out);
  const std::size_t expected_bias = spec.bias ? static_cast<std::size_t>(spec.out) : 0;
  if (spec.in < 1 || spec.out < 1 || spec.rows.empty() || spec.rows.front() < 1 ||
      weights.size() != expected || bias.size() != expected_bias) {
    return Error{ErrorCode::invalid_argument,
                 "linear layer of " + std::to_string(spec.in) + " -> " + std::to_string(spec.out) +
                     ": " + std::to_string(weights.size()) + " weights and " +
                     std::to_string(bias.size()) + " biases, expected " + std::to_string(expected) +
                     " and " + std::to_string(expected_bias)};
  }
  return {};
}

}  // namespace qama::ops
