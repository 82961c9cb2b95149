// Features from a .npy file (NumPy's format of one array), plain or gzip: little-endian floats of
// 32 bits in C order. Only the record that is asked for is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hal/base/result.h"

namespace qama::io {

/// The floats of [tokens][width], or of record `index` of [samples][tokens][width], checked to be
/// finite. `path` may be "-" for standard input. Without an index there must be one sample. Memory:
/// one sample. NOT_FOUND, IO_ERROR, DATASET_EMPTY, DATASET_TRUNCATED, DATASET_BAD_FORMAT (header,
/// type, order, shape, bytes behind the data), INDEX_OUT_OF_RANGE, PROBLEM_BAD_VALUE.
[[nodiscard]] Result<std::vector<float>> read_npy_features(const std::string& path,
                                                           std::optional<std::int64_t> index,
                                                           std::int64_t tokens, std::int64_t width);

}  // namespace qama::io
