#include "ops/simd/packed_linear.h"

#include <array>

namespace qama::ops {

#if defined(__x86_64__)
extern const PackedLinearKernel kPackedLinear_sse2;
extern const PackedLinearKernel kPackedLinear_avx2;
extern const PackedLinearKernel kPackedLinear_avx512;
#elif defined(__aarch64__)
extern const PackedLinearKernel kPackedLinear_neon;
#else
#error "no linear kernel for this architecture: add one line here and a packed_linear_<target>.cpp"
#endif

namespace {

struct Usable {
  std::array<const PackedLinearKernel*, 3> kernels{};
  std::size_t count = 0;
};

Usable find_usable() noexcept {
  Usable out;
#if defined(__x86_64__)
  out.kernels[out.count++] = &kPackedLinear_sse2;
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    out.kernels[out.count++] = &kPackedLinear_avx2;
  }
  if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512cd") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0) {
    out.kernels[out.count++] = &kPackedLinear_avx512;
  }
#else
  out.kernels[out.count++] = &kPackedLinear_neon;
#endif
  return out;
}

}  // namespace

std::span<const PackedLinearKernel* const> packed_linear_kernels() noexcept {
  static const Usable found = find_usable();
  return {found.kernels.data(), found.count};
}

}  // namespace qama::ops
