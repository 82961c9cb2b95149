// JSON of a model file: the door of hal/base with what a file may hold. Internal to weights/: the
// only header here that includes nlohmann-json.
#pragma once

#include "hal/base/strict_json.h"

namespace qama::weights {

/// Parses one JSON value. `what` begins the error's sentence; `code` is the error for everything
/// but a key that appears twice in an object, which is MODEL_DUPLICATE_KEY.
[[nodiscard]] inline Result<Json> parse_strict_json(std::string_view text, std::string_view what,
                                                    ErrorCode code) {
  // Bytes: of the header that holds all of it. Values: more than 4096 tensors or 65536 labels have.
  return parse_json(text, {.what = what,
                           .code = code,
                           .twice = ErrorCode::model_duplicate_key,
                           .max_bytes = std::size_t{1} << 20,
                           .max_depth = 16,
                           .max_values = std::size_t{1} << 17});
}

}  // namespace qama::weights
