// What a port to a board without an operating system must provide: these functions, and a linker
// script that places the program, the model and the memory (runtime/bare/boards). Everything else
// is the C and C++ library. runtime/bare/semihosting.cpp is a port for emulators and debuggers.
//
// There are no threads, no files, no exceptions and no run-time type information. Interrupts may
// run; they must not call this project.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace qama::port {

/// Time since some moment before main(), in microseconds, never back. Only deadlines and reported
/// times use it: a port without a clock returns 0, and a session without a deadline is none the
/// worse.
[[nodiscard]] std::int64_t microseconds() noexcept;

/// Puts characters where somebody reads them. Called by main() and before stop() alone.
void write(std::string_view text) noexcept;

/// The end: main() returned `status`, or something failed that cannot be mended (then not 0). On a
/// device: wait for the watchdog.
[[noreturn]] void stop(int status) noexcept;

/// All memory that may be taken, once, as a heap: 64-byte aligned. What is taken while the model is
/// set up stays taken; a classification takes none.
[[nodiscard]] std::span<std::byte> memory() noexcept;

/// The flash form of the model (`qama flash`), which is read in place: 16-byte aligned.
[[nodiscard]] std::span<const std::byte> model() noexcept;

}  // namespace qama::port
