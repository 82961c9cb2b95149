// Whole files and standard input, read with a limit. What a file's bytes mean belongs elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "hal/base/result.h"

namespace qama::platform {

/// What an errno of opening, reading or mapping a file means: NOT_FOUND, OUT_OF_MEMORY or IO_ERROR.
[[nodiscard]] ErrorCode file_error(int number) noexcept;

/// Size of a regular file. NOT_FOUND, or IO_ERROR (a directory, a device, no permission).
[[nodiscard]] Result<std::uint64_t> file_bytes(const std::string& path);

/// The bytes of `path`, or of standard input where it is "-"; at most `most` of them. A file's size
/// is checked before memory is asked for. NOT_FOUND, IO_ERROR, or `too_large` beyond the limit.
[[nodiscard]] Result<std::vector<std::uint8_t>> read_file(const std::string& path, std::size_t most,
                                                          ErrorCode too_large);

}  // namespace qama::platform
