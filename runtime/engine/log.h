// The log hook: one function of the user's for the whole process. Nothing is written by the library
// itself.
#pragma once

#include <cstdint>

namespace qama::runtime {

enum class LogLevel : std::int32_t { error = 0, warning = 1, info = 2 };

using LogFunction = void (*)(void* user, std::int32_t level, const char* line);

/// Sets the hook; null switches it off. Thread-safe.
void set_log(LogFunction function, void* user) noexcept;

/// Hands a formatted line (cut at 512 bytes) to the hook, if there is one. Allocates nothing.
[[gnu::format(printf, 2, 3)]] void log(LogLevel level, const char* format, ...) noexcept;

}  // namespace qama::runtime
