// AlignedBuffer: owned, zeroed, 64-byte aligned memory for plain data. Used where something is
// allocated once (at load or at compile time of a layer), never while inferring.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "hal/base/checked.h"

namespace qama {

inline constexpr std::size_t kAlignment = 64;

/// std::bad_alloc; a board without exceptions ends.
[[noreturn]] inline void no_memory() {
#ifdef __cpp_exceptions
  throw std::bad_alloc();
#else
  std::abort();
#endif
}

/// A zero-filled array of `size()` elements, aligned to kAlignment. Movable, not copyable. Throws
/// std::bad_alloc when memory runs out; the C ABI turns that into OUT_OF_MEMORY.
template <typename T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size) { resize(size); }

  /// Discards the contents; the new ones are zero.
  void resize(std::size_t size) {
    data_.reset();
    size_ = 0;
    if (size == 0) return;
    const auto bytes = checked_mul(size, sizeof(T));
    if (!bytes || *bytes > SIZE_MAX - kAlignment) no_memory();
    const std::size_t rounded = round_up(*bytes, kAlignment);
    void* memory = ::operator new(rounded, std::align_val_t(kAlignment));
    std::memset(memory, 0, rounded);
    data_.reset(static_cast<T*>(memory));
    size_ = size;
  }

  [[nodiscard]] T* data() noexcept { return data_.get(); }
  [[nodiscard]] const T* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  T& operator[](std::size_t i) noexcept { return data_.get()[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_.get()[i]; }
  [[nodiscard]] std::span<T> span() noexcept { return {data(), size_}; }
  [[nodiscard]] std::span<const T> span() const noexcept { return {data(), size_}; }

 private:
  struct Free {
    void operator()(T* p) const noexcept { ::operator delete(p, std::align_val_t(kAlignment)); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace qama
