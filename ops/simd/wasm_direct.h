// What xsimd 13 does lane by lane, or by way of a sum, where WebAssembly has an instruction: from
// float to integer, and to the nearest whole number. Both are in every exp(). Included first by
// kernels_wasm.cpp, and by nothing else.
#pragma once

#include <cstdint>

#include "hal/base/vectors.h"

namespace xsimd::kernel {
namespace detail {

template <>
XSIMD_INLINE batch<std::int32_t, wasm> fast_cast<wasm>(batch<float, wasm> const& a,
                                                       batch<std::int32_t, wasm> const&,
                                                       requires_arch<wasm>) noexcept {
  return wasm_i32x4_trunc_sat_f32x4(a);
}

}  // namespace detail

template <>
XSIMD_INLINE batch<float, wasm> nearbyint<wasm>(batch<float, wasm> const& a,
                                                requires_arch<generic>) noexcept {
  return wasm_f32x4_nearest(a);
}

}  // namespace xsimd::kernel
