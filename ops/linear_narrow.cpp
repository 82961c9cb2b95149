// Linear in int8 and in half precision, by this project's own kernels (simd/int8_linear.h,
// simd/half_linear.h) on every target.
#include <algorithm>
#include <bit>
#include <cmath>

#include "hal/base/aligned.h"
#include "hal/base/checked.h"
#include "hal/base/half.h"
#include "ops/linear_impl.h"
#include "ops/simd/half_linear.h"
#include "ops/simd/int8_linear.h"

namespace qama::ops {
namespace {

/// Sums of so many products fit 32 bits, with inputs that have 128 added, too.
constexpr std::int64_t kMaxIn = std::int64_t{1} << 17;

struct Narrow final : Linear::Impl {
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
    const Int8LinearArgs arguments = {
        .rows = spec.rows[variant],
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
    return LinearCall(
        std::make_unique<KernelCall<Int8LinearKernel, Int8LinearArgs>>(*kernel, arguments));
  }

  /// Lays out value(output, input); inputs from spec.in on are padding.
  template <typename Stored, typename Value>
  void pack(const Value& value) {
    auto* to = reinterpret_cast<Stored*>(weights.data());
    const auto width = static_cast<std::size_t>(kernel->width);
    const auto depth = static_cast<std::size_t>(kernel->depth);
    const auto out = static_cast<std::size_t>(spec.out);
    for (std::size_t o = 0; o < out; ++o) {
      Stored* group = to + (o / width * padded_in / depth * width + o % width) * depth;
      for (std::size_t k = 0; k < padded_in; k += depth, group += width * depth) {
        for (std::size_t i = 0; i < depth; ++i) group[i] = value(o, k + i);
      }
    }
  }

  /// Memory for `chosen`, and its name. SIZE_OVERFLOW.
  Status prepare(const Int8LinearKernel& chosen) {
    kernel = &chosen;
    implementation = chosen.name;
    const auto width = static_cast<std::size_t>(chosen.width);
    const auto pad = static_cast<std::size_t>(chosen.pad);
    const std::size_t padded_out = (static_cast<std::size_t>(spec.out) + width - 1) / width * width;
    padded_in = (static_cast<std::size_t>(spec.in) + pad - 1) / pad * pad;
    const auto count = checked_mul(padded_out, padded_in);
    const auto size = count ? checked_mul(*count, static_cast<std::size_t>(chosen.bytes)) : count;
    const auto row = checked_mul(static_cast<std::size_t>(spec.rows.back()),
                                 (padded_in + kAlignment) * sizeof(float));
    if (!size || !row) {
      return Error{ErrorCode::size_overflow,
                   "a linear layer's packed weights have too many elements"};
    }
    scratch_bytes = quantised_bytes() + static_cast<std::size_t>(spec.rows.back()) * sizeof(float);
    weights.resize(*size);
    scales.resize(padded_out);
    bias.resize(padded_out);
    starts.resize(padded_out);
    return {};
  }

  template <typename Stored>
  void pack_int8(std::span<const std::int8_t> from) {
    const auto in = static_cast<std::size_t>(spec.in);
    pack<Stored>([&](std::size_t o, std::size_t k) {
      return k < in ? Stored{from[o * in + k]} : Stored{0};
    });
    for (std::size_t o = 0; o < static_cast<std::size_t>(spec.out); ++o) {
      std::int32_t sum = 0;
      for (std::size_t k = 0; k < in; ++k) sum += from[o * in + k];
      starts[o] = -kernel->offset * sum;
    }
  }

  /// Sums begin with the bias. What is too small for a normal number counts as zero.
  void pack_bf16(std::span<const std::uint16_t> from, std::span<const float> biases) {
    const auto in = static_cast<std::size_t>(spec.in);
    const auto value = [&](std::size_t o, std::size_t k) {
      const std::uint16_t bits = k < in ? from[o * in + k] : std::uint16_t{0};
      return (bits & 0x7F80U) == 0 ? static_cast<std::uint16_t>(bits & 0x8000U) : bits;
    };
    std::fill_n(scales.data(), scales.size(), 1.0F);
    std::fill_n(bias.data(), bias.size(), -0.0F);  // leaves every sum as it is
    std::transform(biases.begin(), biases.end(), starts.data(),
                   [](float b) { return std::bit_cast<std::int32_t>(b); });
    if (kernel->bytes == 2) {
      pack<std::uint16_t>(value);
    } else {
      pack<float>([&](std::size_t o, std::size_t k) { return float_from_bf16(value(o, k ^ 1U)); });
    }
  }

  /// A scale for each output brings its largest weight to [0.5, 1).
  void pack_f16(std::span<const std::uint16_t> from, std::span<const float> biases) {
    const auto in = static_cast<std::size_t>(spec.in);
    std::copy(biases.begin(), biases.end(), bias.data());
    for (std::size_t o = 0; o < static_cast<std::size_t>(spec.out); ++o) {
      float largest = 0;
      for (std::size_t k = 0; k < in; ++k) {
        largest = std::max(largest, std::fabs(float_from_f16(from[o * in + k])));
      }
      scales[o] = half_weight_scale(largest);
    }
    pack<std::uint16_t>([&](std::size_t o, std::size_t k) {
      return k < in ? f16_from_float(float_from_f16(from[o * in + k]) / scales[o])
                    : std::uint16_t{0};
    });
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
  auto impl = std::make_unique<Narrow>(spec);
  QAMA_RETURN_IF_ERROR(impl->prepare(kernel == nullptr ? *int8_linear_kernels().back() : *kernel));
  std::copy(weights.scales.begin(), weights.scales.end(), impl->scales.data());
  std::copy(bias.begin(), bias.end(), impl->bias.data());
  if (impl->kernel->bytes == 1) {
    impl->pack_int8<std::int8_t>(weights.values);
  } else {
    impl->pack_int8<std::int16_t>(weights.values);
  }
  return std::make_unique<Linear>(std::move(impl));
}

Result<std::unique_ptr<Linear>> Linear::create_half(const LinearSpec& spec,
                                                    const HalfWeights& weights,
                                                    std::span<const float> bias,
                                                    const Int8LinearKernel* kernel) {
  QAMA_RETURN_IF_ERROR(check_linear_sizes(spec, weights.values.size(), bias.size()));
  const auto kernels = half_linear_kernels(weights.kind);
  if (kernel == nullptr && kernels.empty()) {
    return Error{ErrorCode::unsupported, "this machine has no products of f16"};
  }
  auto impl = std::make_unique<Narrow>(spec);
  QAMA_RETURN_IF_ERROR(impl->prepare(kernel == nullptr ? *kernels.back() : *kernel));
  if (weights.kind == Half::bf16) {
    impl->pack_bf16(weights.values, bias);
  } else {
    impl->pack_f16(weights.values, bias);
  }
  return std::make_unique<Linear>(std::move(impl));
}

}  // namespace qama::ops
