// Inputs that need no file, the same on every machine.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/api/sample.h"
#include "weights/architecture.h"

namespace qama::cli {

inline constexpr std::uint64_t kSyntheticSeed = 1;

/// A few soft blobs a picture, words at random, or features of -1 to 1.
[[nodiscard]] std::vector<runtime::Sample> synthetic_samples(const weights::Architecture& a);

}  // namespace qama::cli
