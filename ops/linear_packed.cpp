// Linear by this project's own kernels (simd/packed_linear.h), without oneDNN: see QAMA_LINEAR in
// CMakeLists.txt.
#include <algorithm>

#include "hal/base/aligned.h"
#include "hal/base/checked.h"
#include "ops/linear.h"
#include "ops/linear_sizes.h"
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

struct Linear::Impl {
  LinearSpec spec;
  const PackedLinearKernel* kernel = nullptr;
  AlignedBuffer<float> weights;
  AlignedBuffer<float> bias;
  std::string implementation;
};

Linear::Linear(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Linear::~Linear() = default;
const LinearSpec& Linear::spec() const noexcept {
  return impl_->spec;
}
const std::string& Linear::implementation() const noexcept {
  return impl_->implementation;
}
std::size_t Linear::scratch_bytes() const noexcept {
  return 0;
}
std::size_t Linear::weight_bytes() const noexcept {
  return (impl_->weights.size() + impl_->bias.size()) * sizeof(float);
}

Result<std::unique_ptr<Linear>> Linear::create(LinearFactory& factory, const LinearSpec& spec,
                                               std::span<const float> weights,
                                               std::span<const float> bias) {
  QAMA_RETURN_IF_ERROR(check_linear_sizes(spec, weights, bias));
  auto impl = std::make_unique<Impl>();
  impl->spec = spec;
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
  return std::unique_ptr<Linear>(new Linear(std::move(impl)));
}

struct LinearCall::Impl {
  const PackedLinearKernel* kernel;
  PackedLinearArgs arguments;
};

LinearCall::LinearCall() = default;
LinearCall::~LinearCall() = default;
LinearCall::LinearCall(LinearCall&&) noexcept = default;
LinearCall& LinearCall::operator=(LinearCall&&) noexcept = default;

Result<LinearCall> Linear::bind(std::size_t variant, const float* x, float* y,
                                std::byte* /*scratch*/) const {
  LinearCall call;
  call.impl_ = std::make_unique<LinearCall::Impl>();
  call.impl_->kernel = impl_->kernel;
  call.impl_->arguments = {.rows = impl_->spec.rows[variant],
                           .in = impl_->spec.in,
                           .out = impl_->spec.out,
                           .x = x,
                           .weights = impl_->weights.data(),
                           .bias = impl_->bias.data(),
                           .y = y,
                           .activation = impl_->spec.activation};
  return call;
}

bool LinearCall::run() const noexcept {
  impl_->kernel->run(impl_->arguments);
  return true;
}

}  // namespace qama::ops
