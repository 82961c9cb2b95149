// xsimd's operations on 16-bit lanes and 64-bit words for Advanced SIMD, said directly. xsimd 13
// chooses each through a table of function pointers, which g++ 12 resolves too late to inline in
// functions as large as the annealer's: every addition was a call, and every call stored the
// registers that hold a head's fields. What is specialised here must mean the same as there.
// Included first by isa/neon.cpp and isa/recombine_neon.cpp, and by nothing else.
#pragma once

#include <cstdint>

#include "hal/base/vectors.h"

namespace xsimd::kernel {

using Lanes16 = batch<std::int16_t, qama::NeonSet>;
using Mask16 = batch_bool<std::int16_t, qama::NeonSet>;
using Words64 = batch<std::uint64_t, qama::NeonSet>;

#define QAMA_NEON_DIRECT(NAME, RESULT, CALL, TYPE)                                       \
  template <>                                                                            \
  XSIMD_INLINE RESULT NAME(TYPE const& a, TYPE const& b, requires_arch<neon>) noexcept { \
    return CALL(a, b);                                                                   \
  }
QAMA_NEON_DIRECT(add, Lanes16, vaddq_s16, Lanes16)
QAMA_NEON_DIRECT(sub, Lanes16, vsubq_s16, Lanes16)
QAMA_NEON_DIRECT(mul, Lanes16, vmulq_s16, Lanes16)
QAMA_NEON_DIRECT(min, Lanes16, vminq_s16, Lanes16)
QAMA_NEON_DIRECT(max, Lanes16, vmaxq_s16, Lanes16)
QAMA_NEON_DIRECT(bitwise_and, Lanes16, vandq_s16, Lanes16)
QAMA_NEON_DIRECT(bitwise_or, Lanes16, vorrq_s16, Lanes16)
QAMA_NEON_DIRECT(bitwise_xor, Lanes16, veorq_s16, Lanes16)
QAMA_NEON_DIRECT(bitwise_andnot, Lanes16, vbicq_s16, Lanes16)
QAMA_NEON_DIRECT(eq, Mask16, vceqq_s16, Lanes16)
QAMA_NEON_DIRECT(le, Mask16, vcleq_s16, Lanes16)
QAMA_NEON_DIRECT(lt, Mask16, vcltq_s16, Lanes16)
QAMA_NEON_DIRECT(ge, Mask16, vcgeq_s16, Lanes16)
QAMA_NEON_DIRECT(gt, Mask16, vcgtq_s16, Lanes16)
QAMA_NEON_DIRECT(add, Words64, vaddq_u64, Words64)
QAMA_NEON_DIRECT(sub, Words64, vsubq_u64, Words64)
QAMA_NEON_DIRECT(bitwise_and, Words64, vandq_u64, Words64)
QAMA_NEON_DIRECT(bitwise_or, Words64, vorrq_u64, Words64)
QAMA_NEON_DIRECT(bitwise_xor, Words64, veorq_u64, Words64)
#undef QAMA_NEON_DIRECT

template <>
XSIMD_INLINE Lanes16 select(Mask16 const& condition, Lanes16 const& yes, Lanes16 const& no,
                            requires_arch<neon>) noexcept {
  return vbslq_s16(condition, yes, no);
}

}  // namespace xsimd::kernel
