// The tables of targets.inc that this machine runs. Internal to ops/simd.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#if defined(__linux__) && (defined(__aarch64__) || defined(__arm__))
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace qama::ops {

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
