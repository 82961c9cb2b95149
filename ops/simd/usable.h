// The tables of targets.inc that this machine runs. Internal to ops/simd.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#if defined(__linux__) && (defined(__aarch64__) || defined(__arm__))
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

namespace qama::ops {

#if defined(__x86_64__)
/// Whether the processor has AVX-VNNI, which clang 14's __builtin_cpu_supports() does not know:
/// leaf 7, subleaf 1, bit 4 of EAX. What the system keeps of registers is that of AVX2.
inline bool has_avx_vnni() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1U << 4)) != 0;
}
#endif

template <typename Table>
class Usable {
 public:
  /// Appends `table` if this machine runs it. At most 8.
  void add(const Table& table, bool runs) noexcept {
    if (runs) tables_[count_++] = &table;
  }
  [[nodiscard]] std::span<const Table* const> tables() const noexcept {
    return {tables_.data(), count_};
  }

 private:
  std::array<const Table*, 8> tables_{};
  std::size_t count_ = 0;
};

}  // namespace qama::ops
