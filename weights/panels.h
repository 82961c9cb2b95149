// Linear layers whose weights a flash form (flash.h) has as kernels want them: in panels of some
// outputs. LAYER.panels is F32 or I8 [panels][in][width], LAYER.panels.bias F32 [panels][width],
// and with I8 LAYER.panels.scale, too. What lies behind the last output is 0.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "hal/base/result.h"
#include "weights/int8.h"
#include "weights/tensor_file.h"

namespace qama::weights {

/// Belongs to its file.
struct Panels {
  std::int64_t width = 0;
  std::span<const float> floats;  ///< or:
  Int8Matrix int8;
  std::span<const float> bias;
};

[[nodiscard]] inline std::string panels_of(const std::string& layer) {
  return layer + ".panels";
}

/// MODEL_MISSING_TENSOR where the file does not have them.
template <typename File>
[[nodiscard]] Result<Panels> panels(const File& file, const std::string& layer) {
  const std::string name = panels_of(layer);
  QAMA_ASSIGN_OR_RETURN(const TensorView* stored, file.tensor(name));
  QAMA_ASSIGN_OR_RETURN(const TensorView* bias, file.tensor(name + ".bias"));
  Panels out;
  out.width = stored->shape.back();
  QAMA_ASSIGN_OR_RETURN(out.bias, bias->f32());
  if (stored->dtype == Dtype::f32) {
    QAMA_ASSIGN_OR_RETURN(out.floats, stored->f32());
    return out;
  }
  QAMA_ASSIGN_OR_RETURN(out.int8, int8_matrix(file, name));
  return out;
}

}  // namespace qama::weights
