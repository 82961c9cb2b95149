// How much memory the program took.
#pragma once

#include <cstddef>

namespace qama::bare {

/// Bytes of the heap that were ever taken; they are never given back to the board.
[[nodiscard]] std::size_t heap_bytes() noexcept;
/// The most that the stack had so far.
[[nodiscard]] std::size_t stack_bytes() noexcept;
/// Allocations so far, for whoever checks that a part of the program makes none.
[[nodiscard]] std::size_t allocations() noexcept;

}  // namespace qama::bare
