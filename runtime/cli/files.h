// Files that the program writes: one sentence where that fails.
#pragma once

#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace qama::cli {

/// IO_ERROR: "file '...' cannot be written".
[[nodiscard]] Error unwritable(std::string_view path);
/// Writes the whole file. IO_ERROR.
Status write_file(const std::string& path, std::string_view text);

}  // namespace qama::cli
