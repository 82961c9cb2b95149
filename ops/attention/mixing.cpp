#include "ops/attention/mixing.h"

#include <cmath>
#include <string>

namespace qama::ops {

float MixingAttention::score_scale() const noexcept {
  return 1.0F / std::sqrt(static_cast<float>(shape_.dim_head));
}

Error bad_mixing_size(std::string_view kind, std::string_view what, std::size_t got,
                      std::size_t expected) {
  return {ErrorCode::invalid_argument, std::string(kind) + ": " + std::string(what) + " has " +
                                           std::to_string(got) + " elements, expected " +
                                           std::to_string(expected)};
}

}  // namespace qama::ops
