// xsimd's reductions and bit casts of floats for Advanced SIMD, said directly, as
// hal/cpu/isa/neon_direct.h does for the annealer's operations: xsimd 13 picks each from a table of
// function pointers, and what g++ 12 does not resolve in time stays a call. What is specialised
// here must mean the same as there. Included first by kernels_neon.cpp and packed_linear_neon.cpp,
// and by nothing else.
#pragma once

#include <cstdint>

#include "hal/base/vectors.h"

namespace xsimd::kernel {

using Floats = batch<float, qama::NeonSet>;
using Words32 = batch<std::int32_t, qama::NeonSet>;
using UnsignedWords32 = batch<std::uint32_t, qama::NeonSet>;

#if XSIMD_WITH_NEON64
template <>
XSIMD_INLINE float reduce_add(Floats const& a, requires_arch<neon64>) noexcept {
  return vaddvq_f32(a);
}
template <>
XSIMD_INLINE float reduce_max(Floats const& a, requires_arch<neon64>) noexcept {
  return vmaxvq_f32(a);
}
#endif
template <>
XSIMD_INLINE Floats bitwise_cast(Words32 const& a, Floats const&, requires_arch<neon>) noexcept {
  return vreinterpretq_f32_s32(a);
}
template <>
XSIMD_INLINE Words32 bitwise_cast(Floats const& a, Words32 const&, requires_arch<neon>) noexcept {
  return vreinterpretq_s32_f32(a);
}
template <>
XSIMD_INLINE Floats bitwise_cast(UnsignedWords32 const& a, Floats const&,
                                 requires_arch<neon>) noexcept {
  return vreinterpretq_f32_u32(a);
}
template <>
XSIMD_INLINE UnsignedWords32 bitwise_cast(Floats const& a, UnsignedWords32 const&,
                                          requires_arch<neon>) noexcept {
  return vreinterpretq_u32_f32(a);
}

}  // namespace xsimd::kernel
