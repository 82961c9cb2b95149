// A QAMA layer made of its record and its tensors: the operator's constants, the form in which a
// sample is solved, the folded projection. The engine's steps (qama.cpp) and the operator for ONNX
// Runtime (runtime/onnxruntime) are made of these.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "ops/attention/qama.h"
#include "weights/architecture.h"

namespace qama::runtime {

/// A tensor of the layer by its name in it: "qkv.weight". The floats outlive what is made of them
/// here.
using LayerWeights = std::function<Result<std::span<const float>>(const std::string& name)>;

/// Scales and shifts of kinds without normalisation, [heads] ones, then zeros.
[[nodiscard]] std::vector<float> qama_ones(const weights::Architecture& a);
/// `ones`: qama_ones(a), which outlives the value.
[[nodiscard]] Result<ops::QamaSpec> qama_spec(const weights::Architecture& a,
                                              const LayerWeights& weights,
                                              std::span<const float> ones);

/// The tokens from which a sample is solved on factors, and what follows for the layer's memory.
struct QamaForms {
  std::int64_t first_on_factors = 0;  ///< 0: no sample is
  ops::QamaSizes sizes;
};
/// `factors`: the device takes them. UNSUPPORTED for more tokens than a device takes.
[[nodiscard]] Result<QamaForms> qama_forms(const weights::Architecture& a, std::int32_t block,
                                           const ops::QamaFrontSpec& spec, bool factors);

/// The projection from a row to queries, keys and the heads' fields.
struct QamaProjection {
  AlignedBuffer<float> weights;  ///< [2 heads D + heads][dim]
  AlignedBuffer<float> biases;   ///< [2 heads D + heads], or none
};
[[nodiscard]] Result<QamaProjection> qama_projection(const weights::Architecture& a,
                                                     std::int32_t block,
                                                     const LayerWeights& weights);

}  // namespace qama::runtime
