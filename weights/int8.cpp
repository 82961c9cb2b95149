#include "weights/int8.h"

#include <algorithm>
#include <cmath>

namespace qama::weights {

std::string scales_of(std::string_view matrix) {
  constexpr std::string_view kWeight = ".weight";
  if (matrix.ends_with(kWeight)) matrix.remove_suffix(kWeight.size());
  return std::string(matrix) + ".scale";
}

void widen(const Int8Matrix& matrix, std::span<float> to) noexcept {
  const std::size_t columns = matrix.values.size() / matrix.scales.size();
  for (std::size_t r = 0; r < matrix.scales.size(); ++r) {
    const std::int8_t* from = matrix.values.data() + r * columns;
    float* row = to.data() + r * columns;
    for (std::size_t c = 0; c < columns; ++c) {
      row[c] = static_cast<float>(from[c]) * matrix.scales[r];
    }
  }
}

void quantise_row(std::span<const float> row, std::span<std::int8_t> values,
                  float& scale) noexcept {
  float largest = 0.0F;
  for (const float w : row) largest = std::max(largest, std::fabs(w));
  scale = largest / 127.0F;
  const float step = scale > 0.0F ? scale : 1.0F;
  for (std::size_t c = 0; c < row.size(); ++c) {
    // The smallest floats have scales that are rounded much.
    const float rounded = std::clamp(std::nearbyint(row[c] / step), -127.0F, 127.0F);
    values[c] = static_cast<std::int8_t>(rounded);
  }
}

}  // namespace qama::weights
