// Linear in int8, by this project's own kernels (simd/int8_linear.h) on every target.
#include <algorithm>

#include "hal/base/aligned.h"
#include "hal/base/checked.h"
#include "ops/linear_impl.h"
#include "ops/simd/int8_linear.h"

namespace qama::ops {
namespace {

/// Sums of so many products fit 32 bits, with inputs that have 128 added, too.
constexpr std::int64_t kMaxIn = std::int64_t{1} << 17;

struct Int8Call final : LinearCall::Impl {
  const Int8LinearKernel* kernel = nullptr;
  Int8LinearArgs arguments;

  bool run() const noexcept override {
    kernel->run(arguments);
    return true;
  }
};

struct Int8 final : Linear::Impl {
  using Impl::Impl;

  const Int8LinearKernel* kernel = nullptr;
  std::size_t padded_in = 0;
  AlignedBuffer<std::byte> weights;
  AlignedBuffer<float> scales, bias;
  AlignedBuffer<std::int32_t> starts;

  /// Quantised rows come first in a call's scratch memory, then a scale for each.
  [[nodiscard]] std::size_t quantised_bytes() const {
    const std::size_t bytes = static_cast<std::size_t>(spec.rows.back()) * padded_in *
                              static_cast<std::size_t>(kernel->bytes);
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  std::size_t weight_bytes() const noexcept override {
    return weights.size() + (scales.size() + bias.size() + starts.size()) * sizeof(float);
  }

  Result<LinearCall> bind(std::size_t variant, const float* x, float* y,
                          std::byte* scratch) const override {
    auto call = std::make_unique<Int8Call>();
    call->kernel = kernel;
    call->arguments = {.rows = spec.rows[variant],
                       .in = spec.in,
                       .out = spec.out,
                       .x = x,
                       .weights = weights.data(),
                       .scales = scales.data(),
                       .bias = bias.data(),
                       .starts = starts.data(),
                       .quantised = scratch,
                       .row_scales = reinterpret_cast<float*>(scratch + quantised_bytes()),
                       .y = y,
                       .activation = spec.activation};
    return LinearCall(std::move(call));
  }

  template <typename Stored>
  void pack(std::span<const std::int8_t> from) {
    auto* to = reinterpret_cast<Stored*>(weights.data());
    const auto width = static_cast<std::size_t>(kernel->width);
    const auto depth = static_cast<std::size_t>(kernel->depth);
    const auto in = static_cast<std::size_t>(spec.in);
    const auto out = static_cast<std::size_t>(spec.out);
    for (std::size_t o = 0; o < out; ++o, from = from.subspan(in)) {
      Stored* group = to + (o / width * padded_in / depth * width + o % width) * depth;
      for (std::size_t k = 0; k < in; k += depth, group += width * depth) {
        for (std::size_t i = k; i < std::min(k + depth, in); ++i) group[i - k] = from[i];
      }
      std::int32_t sum = 0;
      for (std::size_t k = 0; k < in; ++k) sum += from[k];
      starts[o] = -kernel->offset * sum;
    }
  }
};

}  // namespace

Result<std::unique_ptr<Linear>> Linear::create_int8(const LinearSpec& spec,
                                                    const Int8Weights& weights,
                                                    std::span<const float> bias,
                                                    const Int8LinearKernel* kernel) {
  QAMA_RETURN_IF_ERROR(check_linear_sizes(spec, weights.values.size(), bias.size()));
  if (spec.in > kMaxIn || weights.scales.size() != static_cast<std::size_t>(spec.out)) {
    return Error{ErrorCode::invalid_argument, "linear layer in int8 of " + std::to_string(spec.in) +
                                                  " -> " + std::to_string(spec.out) + ": " +
                                                  std::to_string(weights.scales.size()) +
                                                  " scales, expected one an output, and at most " +
                                                  std::to_string(kMaxIn) + " inputs"};
  }
  auto impl = std::make_unique<Int8>(spec);
  impl->kernel = kernel == nullptr ? int8_linear_kernels().back() : kernel;
  impl->implementation = impl->kernel->name;
  const auto width = static_cast<std::size_t>(impl->kernel->width);
  const auto pad = static_cast<std::size_t>(impl->kernel->pad);
  const auto bytes = static_cast<std::size_t>(impl->kernel->bytes);
  const std::size_t padded_out = (static_cast<std::size_t>(spec.out) + width - 1) / width * width;
  impl->padded_in = (static_cast<std::size_t>(spec.in) + pad - 1) / pad * pad;
  const auto count = checked_mul(padded_out, impl->padded_in);
  const auto size = count ? checked_mul(*count, bytes) : count;
  const auto row = checked_mul(static_cast<std::size_t>(spec.rows.back()),
                               (impl->padded_in + kAlignment) * sizeof(float));
  if (!size || !row) {
    return Error{ErrorCode::size_overflow,
                 "a linear layer's packed weights have too many elements"};
  }
  impl->scratch_bytes =
      impl->quantised_bytes() + static_cast<std::size_t>(spec.rows.back()) * sizeof(float);
  impl->weights.resize(*size);
  impl->scales.resize(padded_out);
  impl->bias.resize(padded_out);
  impl->starts.resize(padded_out);
  std::copy(weights.scales.begin(), weights.scales.end(), impl->scales.data());
  std::copy(bias.begin(), bias.end(), impl->bias.data());
  if (bytes == 1) {
    impl->pack<std::int8_t>(weights.values);
  } else {
    impl->pack<std::int16_t>(weights.values);
  }
  return std::make_unique<Linear>(std::move(impl));
}

}  // namespace qama::ops
