// Matrices that a model file stores in int8 (FORMAT.md): I8 [rows, columns], and beside it an F32
// tensor of scales, [rows].
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "weights/tensor_file.h"

namespace qama::weights {

/// Element (r, c) is values[r * columns + c] * scales[r]. Belongs to its file.
struct Int8Matrix {
  std::span<const std::int8_t> values;  ///< [rows][columns]; empty: the file does not store it so
  std::span<const float> scales;        ///< [rows]

  [[nodiscard]] bool empty() const noexcept { return values.empty(); }
};

/// "head.weight" has "head.scale", "position" has "position.scale".
[[nodiscard]] std::string scales_of(std::string_view matrix);

/// The tensor of this name if a checked ModelFile stores it in int8, else an empty one.
/// MODEL_MISSING_TENSOR.
template <typename File>
[[nodiscard]] Result<Int8Matrix> int8_matrix(const File& file, const std::string& name) {
  QAMA_ASSIGN_OR_RETURN(const TensorView* tensor, file.tensor(name));
  if (tensor->dtype != Dtype::i8) return Int8Matrix{};
  QAMA_ASSIGN_OR_RETURN(const TensorView* scales, file.tensor(scales_of(name)));
  Int8Matrix out;
  out.values = {reinterpret_cast<const std::int8_t*>(tensor->bytes.data()), tensor->elements()};
  QAMA_ASSIGN_OR_RETURN(out.scales, scales->f32());
  return out;
}

/// Its floats, [rows][columns]. Precondition: `to` has as many elements as the matrix.
void widen(const Int8Matrix& matrix, std::span<float> to) noexcept;

/// A row as the exporter rounds it: scale = largest magnitude / 127, to the nearest, ties to even.
/// A row of zeros has scale 0. `values` has the row's length. Of a row that was widened, it gives
/// the same values again.
void quantise_row(std::span<const float> row, std::span<std::int8_t> values, float& scale) noexcept;

}  // namespace qama::weights
