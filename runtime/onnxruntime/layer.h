// A QAMA layer by itself: what the engine does between a block's norm and its residual, from the
// layer's record and tensors. Knows nothing of who calls it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "hal/base/result.h"
#include "runtime/engine/attention/qama_layer.h"

namespace qama::onnxruntime {

class Layer {
 public:
  /// `record`: the architecture record of a model (weights/FORMAT.md), `block`: which of its blocks
  /// this is. `weights` are copied. MODEL_BAD_ARCHITECTURE, also for a block without QAMA; the
  /// errors of `weights`; INVALID_ARGUMENT for other sizes; UNSUPPORTED.
  [[nodiscard]] static Result<std::unique_ptr<Layer>> create(std::string_view record,
                                                             std::int32_t block,
                                                             const runtime::LayerWeights& weights);
  ~Layer();
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  [[nodiscard]] std::int64_t dim() const noexcept;
  /// Of a sample at most.
  [[nodiscard]] std::int64_t tokens() const noexcept;
  /// One sample: `x` [tokens][dim], behind the norm, becomes `out` [tokens][dim]. Any number of
  /// threads at a time; the first calls of each allocate. `index`: the sample's, which with the
  /// seed decides the solver's random numbers. PROBLEM_BAD_VALUE for a value that is not finite,
  /// INVALID_ARGUMENT for more tokens.
  Status run(const float* x, std::int64_t tokens, std::uint64_t seed, std::uint64_t index,
             float* out) const;

 private:
  struct Impl;
  explicit Layer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qama::onnxruntime
