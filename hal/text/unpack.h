// Files that gzip packed: told apart by their first bytes, unpacked in bounded memory.
#pragma once

#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace qama::hal {

[[nodiscard]] bool is_packed(std::string_view bytes) noexcept;

/// PROBLEM_BAD_FORMAT where the data are damaged or end too early, PROBLEM_TOO_LARGE for more than
/// `most` bytes. `name` is for messages. Members one after the other are one text, as for gzip.
[[nodiscard]] Result<std::string> unpack(std::string_view bytes, std::string_view name,
                                         std::size_t most);

}  // namespace qama::hal
