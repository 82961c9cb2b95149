// From reset to main(), on any Cortex-M with a floating-point unit: vectors, memory, constructors.
#include <cstdint>
#include <cstring>

#include "hal/platform/port.h"

extern "C" {
extern std::uint32_t stack_top[], stack_limit[], data_start[], data_end[], data_load[], bss_start[],
    bss_end[];
using Constructor = void (*)();
extern const Constructor init_array_start[], init_array_end[];
int main(int, char**);
void reset();
}

namespace {

/// What the stack is filled with, so that stack_bytes() sees how deep it went.
constexpr std::uint32_t kUntouched = 0x51A4A51A;

void fault() {
  qama::port::write("qama: fault\n");
  qama::port::stop(3);
}

using Handler = void (*)();
[[gnu::section(".vectors"), gnu::used]] const Handler vectors[16] = {
    reinterpret_cast<Handler>(stack_top), reset, fault, fault, fault, fault, fault, fault};

}  // namespace

namespace qama::bare {
/// The most that the stack had so far.
std::size_t stack_bytes() noexcept {
  const std::uint32_t* word = stack_limit;
  while (word < stack_top && *word == kUntouched) ++word;
  return static_cast<std::size_t>(stack_top - word) * sizeof(*word);
}
}  // namespace qama::bare

extern "C" [[gnu::noinline]] void start() {
  std::uint32_t* here = static_cast<std::uint32_t*>(__builtin_frame_address(0)) - 64;
  for (std::uint32_t* word = stack_limit; word < here; ++word) *word = kUntouched;
  std::memcpy(
      data_start, data_load,
      reinterpret_cast<std::uintptr_t>(data_end) - reinterpret_cast<std::uintptr_t>(data_start));
  std::memset(
      bss_start, 0,
      reinterpret_cast<std::uintptr_t>(bss_end) - reinterpret_cast<std::uintptr_t>(bss_start));
  for (const Constructor* make = init_array_start; make < init_array_end; ++make) (*make)();
  qama::port::stop(main(0, nullptr));
}

// Floating point (and vectors) must be on before any of its registers is touched.
extern "C" [[gnu::naked]] void reset() {
  asm volatile(
      "ldr r0, =0xE000ED88\n"  // CPACR: full access to coprocessors 10 and 11
      "ldr r1, [r0]\n"
      "orr r1, r1, #0xF00000\n"
      "str r1, [r0]\n"
      "dsb\n"
      "isb\n"
      "b start\n");
}
