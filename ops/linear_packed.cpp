// Linear by this project's own kernels (simd/packed_linear.h), without oneDNN: see QAMA_LINEAR in
// CMakeLists.txt.
#include <algorithm>

#include "hal/base/aligned.h"
#include "hal/base/checked.h"
#include "ops/linear_impl.h"
#include "ops/simd/packed_linear.h"

namespace qama::ops {

struct LinearFactory::Impl {
  const PackedLinearKernel* kernel = packed_linear_kernels().back();
};

LinearFactory::LinearFactory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LinearFactory::~LinearFactory() = default;

Result<std::unique_ptr<LinearFactory>> LinearFactory::create() {
  return std::unique_ptr<LinearFactory>(new LinearFactory(std::make_unique<Impl>()));
}

namespace {

struct Packed final : Linear::Impl {
  using Impl::Impl;

  const PackedLinearKernel* kernel = nullptr;
  AlignedBuffer<float> weights;
  AlignedBuffer<float> bias;

  std::size_t weight_bytes() const noexcept override {
    return (weights.size() + bias.size()) * sizeof(float);
  }

  Result<LinearCall> bind(std::size_t variant, const float* x, float* y,
                          std::byte* /*scratch*/) const override {
    const PackedLinearArgs arguments = {.rows = spec.rows[variant],
                                        .in = spec.in,
                                        .out = spec.out,
                                        .x = x,
                                        .weights = weights.data(),
                                        .bias = bias.data(),
                                        .y = y,
                                        .activation = spec.activation};
    return LinearCall(
        std::make_unique<KernelCall<PackedLinearKernel, PackedLinearArgs>>(*kernel, arguments));
  }
};

}  // namespace

Result<std::unique_ptr<Linear>> Linear::create(LinearFactory& factory, const LinearSpec& spec,
                                               std::span<const float> weights,
                                               std::span<const float> bias) {
  QAMA_RETURN_IF_ERROR(check_linear_sizes(spec, weights.size(), bias.size()));
  auto impl = std::make_unique<Packed>(spec);
  impl->kernel = factory.impl().kernel;
  impl->implementation = impl->kernel->name;
  const auto width = static_cast<std::size_t>(impl->kernel->width);
  const auto in = static_cast<std::size_t>(spec.in);
  const auto out = static_cast<std::size_t>(spec.out);
  const std::size_t padded = (out + width - 1) / width * width;
  const auto count = checked_mul(padded, in);
  if (!count) {
    return Error{ErrorCode::size_overflow,
                 "a linear layer's packed weights have too many elements"};
  }
  impl->weights.resize(*count);
  impl->bias.resize(padded);
  std::fill_n(impl->weights.data(), *count, 0.0F);
  std::fill_n(impl->bias.data(), padded, 0.0F);
  std::copy(bias.begin(), bias.end(), impl->bias.data());
  for (std::size_t o = 0; o < out; ++o) {
    float* to = impl->weights.data() + o / width * width * in + o % width;
    for (std::size_t k = 0; k < in; ++k, to += width) *to = weights[o * in + k];
  }
  return std::make_unique<Linear>(std::move(impl));
}

}  // namespace qama::ops
