// Half-precision tensors of model files: F16 and BF16 (hal/base/half.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "hal/base/half.h"
#include "hal/base/result.h"
#include "weights/tensor_file.h"

namespace qama::weights {

[[nodiscard]] constexpr bool is_half(Dtype dtype) noexcept {
  return dtype == Dtype::f16 || dtype == Dtype::bf16;
}

/// A matrix as its file stores it. Belongs to the file.
struct HalfMatrix {
  std::span<const std::uint16_t> values;  ///< [rows][columns]; empty: it is not stored so
  Dtype dtype = Dtype::bf16;
};

/// The tensor of this name of a checked ModelFile. MODEL_MISSING_TENSOR.
template <typename File>
[[nodiscard]] Result<HalfMatrix> half_matrix(const File& file, const std::string& name) {
  QAMA_ASSIGN_OR_RETURN(const TensorView* tensor, file.tensor(name));
  if (!is_half(tensor->dtype)) return HalfMatrix{};
  return HalfMatrix{
      {reinterpret_cast<const std::uint16_t*>(tensor->bytes.data()), tensor->elements()},
      tensor->dtype};
}

}  // namespace qama::weights
