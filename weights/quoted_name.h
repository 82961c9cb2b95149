// Names out of a model file, made fit for an error sentence. Internal to weights.
#pragma once

#include <string>
#include <string_view>

namespace qama::weights {

/// `name` in single quotes: plain ASCII, other bytes as \xNN, cut after 96 bytes.
[[nodiscard]] std::string quoted_name(std::string_view name);

}  // namespace qama::weights
