#include "ops/simd/kernels.h"

#include <array>

namespace qama::ops {

#if defined(__x86_64__)
extern const KernelTable kKernels_sse2;
extern const KernelTable kKernels_avx2;
extern const KernelTable kKernels_avx512;
#elif defined(__aarch64__)
extern const KernelTable kKernels_neon;
#else
#error "no kernel table for this architecture: add one line here and a kernels_<target>.cpp"
#endif

namespace {

struct Usable {
  std::array<const KernelTable*, 3> tables{};
  std::size_t count = 0;
};

Usable find_usable() noexcept {
  Usable out;
#if defined(__x86_64__)
  out.tables[out.count++] = &kKernels_sse2;
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    out.tables[out.count++] = &kKernels_avx2;
  }
  if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512cd") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0) {
    out.tables[out.count++] = &kKernels_avx512;
  }
#else
  out.tables[out.count++] = &kKernels_neon;
#endif
  return out;
}

const Usable& usable() noexcept {
  static const Usable found = find_usable();
  return found;
}

}  // namespace

std::span<const KernelTable* const> kernel_tables() noexcept {
  return {usable().tables.data(), usable().count};
}

const KernelTable& best_kernels() noexcept {
  return *usable().tables[usable().count - 1];
}

}  // namespace qama::ops
