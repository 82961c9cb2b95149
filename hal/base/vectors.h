// xsimd's sets of instructions as the kernels name them, on machines with and without vectors:
//   PlainSet   no vector unit: 128 bits in general registers, for machines whose unit xsimd does
//              not know, or that may have none (32-bit ARM, RISC-V)
//   NeonSet    Advanced SIMD, of 64-bit or of 32-bit ARM
//   xsimd::wasm  vectors of WebAssembly, for a whole module or for none of it
//   WholeFloats<Set>   the set to take where numbers are double, or where float must be IEEE's to
//              the last bit: NEON of 32-bit ARM has no double, and takes numbers below 2^-126 for 0
// Included first by the files that are compiled for one set, and by nothing else.
#pragma once

#if !defined(__x86_64__) && !defined(__aarch64__)
#define QAMA_WITH_PLAIN_SET 1
#define XSIMD_WITH_EMULATED 1
// A form of complex numbers that is not used here, and that its emulation spells wrongly.
#undef XSIMD_ENABLE_XTL_COMPLEX
#include <xsimd/config/xsimd_config.hpp>
#if defined(__EMSCRIPTEN__) && !defined(__wasm_simd128__)
#undef XSIMD_WITH_WASM
#define XSIMD_WITH_WASM 0
#define XSIMD_NO_SUPPORTED_ARCHITECTURE
#endif
// Where it finds no vector unit, xsimd gives nothing, not even what needs none.
#ifdef XSIMD_NO_SUPPORTED_ARCHITECTURE
#undef XSIMD_NO_SUPPORTED_ARCHITECTURE
#define XSIMD_DEFAULT_ARCH emulated<128>
#endif
#else
#define QAMA_WITH_PLAIN_SET 0
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <xsimd/xsimd.hpp>

#if QAMA_WITH_PLAIN_SET
namespace xsimd::kernel {
namespace detail {

template <typename T, std::size_t... kLane>
XSIMD_INLINE std::array<T, sizeof...(kLane)> lanes_of(T const* mem,
                                                      std::index_sequence<kLane...>) noexcept {
  return {mem[kLane]...};
}

}  // namespace detail

// Lane by lane: xsimd 13 copies 16 bytes of any alignment, which is a call on a machine that reads
// aligned numbers only (RISC-V).
#define QAMA_LOAD_LANES(load, T)                                              \
  template <>                                                                 \
  XSIMD_INLINE batch<T, emulated<128>> load<emulated<128>, T, 128>(           \
      T const* mem, convert<T>, requires_arch<emulated<128>>) noexcept {      \
    return detail::lanes_of(mem, std::make_index_sequence<16 / sizeof(T)>()); \
  }
#define QAMA_STORE_LANES(store, T)                                                             \
  template <>                                                                                  \
  XSIMD_INLINE void store<emulated<128>, T, 128>(T * mem, batch<T, emulated<128>> const& self, \
                                                 requires_arch<emulated<128>>) noexcept {      \
    for (std::size_t i = 0; i < 16 / sizeof(T); ++i) mem[i] = self.data[i];                    \
  }
#define QAMA_LANE_BY_LANE(T)         \
  QAMA_LOAD_LANES(load_aligned, T)   \
  QAMA_LOAD_LANES(load_unaligned, T) \
  QAMA_STORE_LANES(store_aligned, T) \
  QAMA_STORE_LANES(store_unaligned, T)
QAMA_LANE_BY_LANE(float)
QAMA_LANE_BY_LANE(double)
QAMA_LANE_BY_LANE(std::int16_t)
QAMA_LANE_BY_LANE(std::uint16_t)
QAMA_LANE_BY_LANE(std::int32_t)
QAMA_LANE_BY_LANE(std::uint32_t)
#undef QAMA_LOAD_LANES
#undef QAMA_STORE_LANES
#undef QAMA_LANE_BY_LANE

}  // namespace xsimd::kernel
#endif

namespace qama {

template <class Set>
struct WholeFloatsOf {
  using type = Set;
};

/// Whether vectors of this set are not registers: arrays of them stay small then.
template <class Set>
inline constexpr bool kInMemory = false;

#if QAMA_WITH_PLAIN_SET
using PlainSet = xsimd::emulated<128>;
template <>
struct WholeFloatsOf<xsimd::neon> {
  using type = PlainSet;
};
template <>
inline constexpr bool kInMemory<PlainSet> = true;
#endif
#if XSIMD_WITH_NEON64
using NeonSet = xsimd::neon64;
#elif XSIMD_WITH_NEON
using NeonSet = xsimd::neon;
#endif

template <class Set>
using WholeFloats = typename WholeFloatsOf<Set>::type;

}  // namespace qama
