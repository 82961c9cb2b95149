// Linear: y = activation(x W^T + b). Weights are re-laid when the operator is made; running
// one allocates nothing (with the oneDNN of toolchains/bootstrap). In floats there are two
// implementations, of which a build links one (QAMA_LINEAR in CMakeLists.txt): linear_onednn.cpp
// through oneDNN, linear_packed.cpp through kernels of our own. In int8 and in half precision there
// is one, linear_narrow.cpp. To add an activation: one enumerator in activation.h, and what it does
// in linear_onednn.cpp and in simd/packed_linear_impl.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "ops/activation.h"

namespace qama::ops {

/// What layers share: oneDNN's engine and the primitives made so far, one a shape. Used while a
/// plan is made, by one thread; what it made stays usable by any number of threads.
class LinearFactory {
 public:
  /// UNSUPPORTED if oneDNN does not start.
  [[nodiscard]] static Result<std::unique_ptr<LinearFactory>> create();
  ~LinearFactory();
  LinearFactory(const LinearFactory&) = delete;
  LinearFactory& operator=(const LinearFactory&) = delete;

  struct Impl;
  [[nodiscard]] Impl& impl() noexcept { return *impl_; }

 private:
  explicit LinearFactory(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct LinearSpec {
  std::int64_t in = 0, out = 0;
  bool bias = true;
  Activation activation = Activation::none;
  /// The numbers of rows that will be run, rising. Weights are laid out for the last one.
  std::vector<std::int64_t> rows;
};

struct Int8LinearKernel;  // simd/int8_linear.h

/// A matrix in int8: W_ok = values_ok scales_o.
struct Int8Weights {
  std::span<const std::int8_t> values;  ///< [out][in]
  std::span<const float> scales;        ///< [out]
};

enum class Half : std::uint8_t { bf16, f16 };

/// A matrix in half precision (hal/base/half.h).
struct HalfWeights {
  std::span<const std::uint16_t> values;  ///< [out][in], finite
  Half kind = Half::bf16;
};

/// Weights that lie in panels: [panels][in][width], panel p with the outputs p * width and on,
/// zeros behind the last. The memory outlives what is made of it.
struct PanelWeights {
  std::int64_t width = 0;
  std::span<const float> floats;        ///< the weights, or in int8:
  std::span<const std::int8_t> values;  ///< the same order
  std::span<const float> scales;        ///< [panels][width], with `values`
  std::span<const float> bias;          ///< [panels][width]
};

/// A Linear tied to its memory: one worker's, one number of rows. One thread at a time.
class LinearCall {
 public:
  struct Impl;
  explicit LinearCall(std::unique_ptr<Impl> impl);
  ~LinearCall();
  LinearCall(LinearCall&&) noexcept;
  LinearCall& operator=(LinearCall&&) noexcept;
  /// False if the implementation reports an error, which for arguments that were bound means a bug.
  [[nodiscard]] bool run() const noexcept;

 private:
  std::unique_ptr<Impl> impl_;
};

/// Immutable; bind() and the calls it gives may be used by any number of threads.
class Linear {
 public:
  /// `weights` [out][in], `bias` [out] or empty; both are copied. UNSUPPORTED with oneDNN's reason.
  [[nodiscard]] static Result<std::unique_ptr<Linear>> create(LinearFactory& factory,
                                                              const LinearSpec& spec,
                                                              std::span<const float> weights,
                                                              std::span<const float> bias);
  /// The same in int8: inputs are quantised row by row while it runs (simd/int8_linear.h).
  /// `kernel`: null for the best of this machine. INVALID_ARGUMENT, also for more inputs than sums
  /// of 32 bits take.
  [[nodiscard]] static Result<std::unique_ptr<Linear>> create_int8(
      const LinearSpec& spec, const Int8Weights& weights, std::span<const float> bias,
      const Int8LinearKernel* kernel = nullptr);
  /// The same in half precision: inputs are rounded while it runs (simd/half_linear.h). `kernel`:
  /// one of half_linear_kernels(weights.kind), null for the last of them. INVALID_ARGUMENT,
  /// UNSUPPORTED where there is none.
  [[nodiscard]] static Result<std::unique_ptr<Linear>> create_half(
      const LinearSpec& spec, const HalfWeights& weights, std::span<const float> bias,
      const Int8LinearKernel* kernel = nullptr);
  /// The same of weights that are used where they lie; `spec.bias` does not count. UNSUPPORTED if
  /// this machine has no kernel for panels of that width; INVALID_ARGUMENT.
  [[nodiscard]] static Result<std::unique_ptr<Linear>> from_panels(const LinearSpec& spec,
                                                                   const PanelWeights& weights);
  struct Impl;
  explicit Linear(std::unique_ptr<Impl> impl);
  ~Linear();
  Linear(const Linear&) = delete;
  Linear& operator=(const Linear&) = delete;

  [[nodiscard]] const LinearSpec& spec() const noexcept;
  /// What was chosen, e.g. "brgemm:avx512_core", "packed:neon", "int8:sdot" or "bf16:avx512bf16",
  /// for the largest number of rows.
  [[nodiscard]] const std::string& implementation() const noexcept;
  /// The most scratch memory that a call needs, 64-byte aligned.
  [[nodiscard]] std::size_t scratch_bytes() const noexcept;
  [[nodiscard]] std::size_t weight_bytes() const noexcept;
  /// Ties spec().rows[variant] rows at `x` [rows][in] and `y` [rows][out] to a call. All memory,
  /// this operator's too, must outlive the call.
  [[nodiscard]] Result<LinearCall> bind(std::size_t variant, const float* x, float* y,
                                        std::byte* scratch) const;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace qama::ops
