// The port (hal/platform/port.h) for debuggers and emulators: Arm's semihosting. A product replaces
// this file.
#include "hal/platform/port.h"

#include <array>
#include <cstring>

extern "C" {
extern std::byte heap_start[], heap_end[], model_start[], model_bytes[];
}

namespace qama::port {
namespace {

enum Operation : std::uint32_t { kWrite0 = 0x04, kClock = 0x10, kExitExtended = 0x20 };

std::uint32_t call(Operation operation, const void* argument) noexcept {
  register std::uint32_t r0 asm("r0") = operation;
  register const void* r1 asm("r1") = argument;
  asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

}  // namespace

std::int64_t microseconds() noexcept {
  return std::int64_t{10'000} * call(kClock, nullptr);  // hundredths of a second
}

void write(std::string_view text) noexcept {
  std::array<char, 128> line;
  while (!text.empty()) {
    const std::size_t size = text.size() < line.size() ? text.size() : line.size() - 1;
    std::memcpy(line.data(), text.data(), size);
    line[size] = 0;
    call(kWrite0, line.data());
    text.remove_prefix(size);
  }
}

void stop(int status) noexcept {
  constexpr std::uint32_t kApplicationExit = 0x20026;
  const std::uint32_t block[2] = {kApplicationExit, static_cast<std::uint32_t>(status)};
  call(kExitExtended, block);
  for (;;) {
  }
}

std::span<std::byte> memory() noexcept {
  return {heap_start, heap_end};
}

std::span<const std::byte> model() noexcept {
  return {model_start, reinterpret_cast<std::size_t>(model_bytes)};
}

}  // namespace qama::port
