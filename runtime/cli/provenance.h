// Where a figure comes from: the build, the machine and what it was busy with. Every report of
// times carries it.
#pragma once

#include <cstdint>

#include "runtime/cli/console.h"

namespace qama::cli {

/// revision, compiler, flags, architecture, cpu, cores, system, load (of the last minute), time
/// (UTC).
[[nodiscard]] Json provenance();

/// Most memory that this process ever had resident; 0 where the system does not say.
[[nodiscard]] std::int64_t peak_rss_bytes();

}  // namespace qama::cli
