// The product of 16-bit lanes, which xsimd 13 makes lane by lane where WebAssembly has an
// instruction. Included first by wasm.cpp and recombine_wasm.cpp, and by nothing else.
#pragma once

#include <cstdint>

#include "hal/base/vectors.h"

namespace xsimd::kernel {

template <>
XSIMD_INLINE batch<std::int16_t, wasm> mul<wasm, std::int16_t, void>(
    batch<std::int16_t, wasm> const& a, batch<std::int16_t, wasm> const& b,
    requires_arch<generic>) noexcept {
  return wasm_i16x8_mul(a, b);
}

}  // namespace xsimd::kernel
