// What the C and C++ library ask of a system, on a board: memory for the heap, the time, and an end
// where a hosted library would throw. Running out of memory ends the program: there is no exception
// that could say it.
#include <sys/time.h>

#include <malloc.h>
#include <cerrno>
#include <cstdlib>
#include <new>

#include "hal/platform/port.h"
#include "runtime/bare/memory.h"

namespace qama::bare {
namespace {

std::size_t taken = 0;
std::size_t allocation_count = 0;

[[noreturn]] void fail(const char* why) noexcept {
  port::write("qama: ");
  port::write(why);
  port::write("\n");
  port::stop(2);
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  ++allocation_count;
  void* memory = alignment <= sizeof(double) ? std::malloc(size) : memalign(alignment, size);
  if (memory == nullptr) fail("OUT_OF_MEMORY");
  return memory;
}

}  // namespace

std::size_t heap_bytes() noexcept {
  return taken;
}
std::size_t allocations() noexcept {
  return allocation_count;
}

}  // namespace qama::bare

using qama::bare::allocate;
using qama::bare::fail;

void* operator new(std::size_t size) {
  return allocate(size, 1);
}
void* operator new[](std::size_t size) {
  return allocate(size, 1);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
// Sorts ask for room that they can do without.
void* operator new(std::size_t /*size*/, const std::nothrow_t&) noexcept {
  return nullptr;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

// The library's own files of these names throw, and bring everything that unwinds a stack.
namespace std {
void __throw_bad_alloc() {
  fail("OUT_OF_MEMORY");
}
void __throw_bad_array_new_length() {
  fail("OUT_OF_MEMORY");
}
void __throw_bad_cast() {
  fail("a bad cast");
}
void __throw_bad_function_call() {
  fail("an empty function was called");
}
void __throw_length_error(const char* what) {
  fail(what);
}
void __throw_logic_error(const char* what) {
  fail(what);
}
void __throw_invalid_argument(const char* what) {
  fail(what);
}
void __throw_out_of_range(const char* what) {
  fail(what);
}
void __throw_out_of_range_fmt(const char* what, ...) {
  fail(what);
}
void __throw_system_error(int) {
  fail("an error of the system");
}
}  // namespace std

extern "C" {

void* _sbrk(std::ptrdiff_t more) {
  const std::span<std::byte> memory = qama::port::memory();
  std::size_t& taken = qama::bare::taken;
  if (more > 0 && static_cast<std::size_t>(more) > memory.size() - taken) {
    errno = ENOMEM;
    return reinterpret_cast<void*>(-1);
  }
  std::byte* const before = memory.data() + taken;
  taken += static_cast<std::size_t>(more);
  return before;
}

int _gettimeofday(timeval* time, void*) {
  const std::int64_t now = qama::port::microseconds();
  time->tv_sec = static_cast<time_t>(now / 1'000'000);
  time->tv_usec = static_cast<suseconds_t>(now % 1'000'000);
  return 0;
}

[[noreturn]] void __cxa_pure_virtual() {
  fail("a pure virtual function was called");
}
[[noreturn]] void _exit(int status) {
  qama::port::stop(status);
}
[[noreturn]] void abort() {
  fail("abort");
}
int _write(int, const char* text, int size) {
  qama::port::write({text, static_cast<std::size_t>(size)});
  return size;
}
int _read(int, char*, int) {
  return 0;
}
int _close(int) {
  return -1;
}
int _lseek(int, int, int) {
  return 0;
}
int _fstat(int, void*) {
  return -1;
}
int _isatty(int) {
  return 1;
}
int _kill(int, int) {
  return -1;
}
int _getpid() {
  return 1;
}

// Nothing is destroyed: a board does not end.
int __aeabi_atexit(void*, void (*)(void*), void*) {
  return 0;
}
void* __dso_handle = nullptr;
}
