// What a kind of linear layer is made of: linear_onednn.cpp or linear_packed.cpp in floats,
// linear_narrow.cpp in int8 and in half precision. Internal to ops.
#pragma once

#include <span>

#include "hal/base/result.h"
#include "ops/linear.h"

namespace qama::ops {

struct Linear::Impl {
  explicit Impl(const LinearSpec& s) : spec(s) {}
  virtual ~Impl() = default;
  [[nodiscard]] virtual std::size_t weight_bytes() const noexcept = 0;
  [[nodiscard]] virtual Result<LinearCall> bind(std::size_t variant, const float* x, float* y,
                                                std::byte* scratch) const = 0;

  LinearSpec spec;
  std::string implementation;
  std::size_t scratch_bytes = 0;
};

struct LinearCall::Impl {
  virtual ~Impl() = default;
  [[nodiscard]] virtual bool run() const noexcept = 0;
};

/// A kernel of ours with what it is called with.
template <typename Kernel, typename Arguments>
struct KernelCall final : LinearCall::Impl {
  KernelCall(const Kernel& k, const Arguments& a) : kernel(k), arguments(a) {}
  bool run() const noexcept override {
    kernel.run(arguments);
    return true;
  }

  const Kernel& kernel;
  Arguments arguments;
};

/// INVALID_ARGUMENT unless there are as many numbers as `spec` says and its rows are positive.
inline Status check_linear_sizes(const LinearSpec& spec, std::size_t weights, std::size_t biases) {
  const std::size_t expected =
      static_cast<std::size_t>(spec.in) * static_cast<std::size_t>(spec.out);
  const std::size_t expected_bias = spec.bias ? static_cast<std::size_t>(spec.out) : 0;
  if (spec.in < 1 || spec.out < 1 || spec.rows.empty() || spec.rows.front() < 1 ||
      weights != expected || biases != expected_bias) {
    return Error{ErrorCode::invalid_argument,
                 "linear layer of " + std::to_string(spec.in) + " -> " + std::to_string(spec.out) +
                     ": " + std::to_string(weights) + " weights and " + std::to_string(biases) +
                     " biases, expected " + std::to_string(expected) + " and " +
                     std::to_string(expected_bias)};
  }
  return {};
}

}  // namespace qama::ops
