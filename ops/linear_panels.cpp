// Linear with weights that lie in panels already, where they are: the layers of boards, whose
// memory is too small for a second copy (weights/flash.h).
#include <algorithm>

#include "hal/base/aligned.h"
#include "ops/linear_impl.h"
#include "ops/simd/int8_linear.h"
#include "ops/simd/packed_linear.h"

namespace qama::ops {
namespace {

struct FloatPanels final : Linear::Impl {
  using Impl::Impl;
  const PackedLinearKernel* kernel = nullptr;
  PanelWeights weights;

  std::size_t weight_bytes() const noexcept override { return 0; }
  Result<LinearCall> bind(std::size_t variant, const float* x, float* y,
                          std::byte* /*scratch*/) const override {
    const PackedLinearArgs arguments = {.rows = spec.rows[variant],
                                        .in = spec.in,
                                        .out = spec.out,
                                        .x = x,
                                        .weights = weights.floats.data(),
                                        .bias = weights.bias.data(),
                                        .y = y,
                                        .activation = spec.activation};
    return LinearCall(
        std::make_unique<KernelCall<PackedLinearKernel, PackedLinearArgs>>(*kernel, arguments));
  }
};

struct Int8Panels final : Linear::Impl {
  using Impl::Impl;
  const Int8LinearKernel* kernel = nullptr;
  PanelWeights weights;

  [[nodiscard]] std::size_t quantised_bytes() const {
    return round_up(static_cast<std::size_t>(spec.rows.back() * spec.in), kAlignment);
  }
  std::size_t weight_bytes() const noexcept override { return 0; }
  Result<LinearCall> bind(std::size_t variant, const float* x, float* y,
                          std::byte* scratch) const override {
    const Int8LinearArgs arguments = {
        .rows = spec.rows[variant],
        .in = spec.in,
        .out = spec.out,
        .x = x,
        .weights = weights.values.data(),
        .scales = weights.scales.data(),
        .bias = weights.bias.data(),
        .starts = nullptr,  // such kernels have no offset
        .quantised = scratch,
        .row_scales = reinterpret_cast<float*>(scratch + quantised_bytes()),
        .y = y,
        .activation = spec.activation};
    return LinearCall(
        std::make_unique<KernelCall<Int8LinearKernel, Int8LinearArgs>>(*kernel, arguments));
  }
};

}  // namespace

Result<std::unique_ptr<Linear>> Linear::from_panels(const LinearSpec& spec,
                                                    const PanelWeights& weights) {
  const std::int64_t width = std::max<std::int64_t>(weights.width, 1);
  const auto padded = static_cast<std::size_t>((spec.out + width - 1) / width * width);
  const std::size_t count = padded * static_cast<std::size_t>(spec.in);
  const bool floats = weights.values.empty();
  if (weights.bias.size() != padded ||
      (floats ? weights.floats.size() : weights.values.size()) != count ||
      weights.scales.size() != (floats ? 0 : padded)) {
    return Error{ErrorCode::invalid_argument, "panels of another size than the layer"};
  }
  if (floats) {
    for (const PackedLinearKernel* kernel : packed_linear_kernels()) {
      if (kernel->width != width) continue;
      auto impl = std::make_unique<FloatPanels>(spec);
      impl->kernel = kernel;
      impl->weights = weights;
      impl->implementation = kernel->name;
      return std::make_unique<Linear>(std::move(impl));
    }
  } else {
    for (const Int8LinearKernel* kernel : int8_linear_kernels()) {
      if (kernel->width != width || kernel->depth * kernel->pad * kernel->bytes != 1) continue;
      auto impl = std::make_unique<Int8Panels>(spec);
      impl->kernel = kernel;
      impl->weights = weights;
      impl->implementation = kernel->name;
      impl->scratch_bytes =
          impl->quantised_bytes() + static_cast<std::size_t>(spec.rows.back()) * sizeof(float);
      return std::make_unique<Linear>(std::move(impl));
    }
  }
  return Error{ErrorCode::unsupported,
               "no kernel for panels of " + std::to_string(width) + " outputs"};
}

}  // namespace qama::ops
