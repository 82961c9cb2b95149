// What a fuzz target's input becomes numbers by; for targets whose problems are larger than their
// inputs. Work costs time, and a target of a few inputs a second finds nothing: work_of() is what
// an input of some bytes may cost, so that most inputs are small and the corpus may still hold
// large ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "hal/base/random.h"

namespace qama::fuzz {

/// The input's bytes one by one, then pseudo-random ones that depend on them.
class Bytes {
 public:
  explicit Bytes(std::span<const std::uint8_t> data) : data_(data) {
    for (const std::uint8_t byte : data) key_ = mix64(key_ + byte + 1);
  }
  std::uint32_t byte() {
    return at_ < data_.size() ? data_[at_++]
                              : static_cast<std::uint32_t>(counter_random(key_, at_++) >> 56);
  }
  std::uint32_t word() {
    const std::uint32_t high = byte();
    return high << 8 | byte();
  }

 private:
  std::span<const std::uint8_t> data_;
  std::size_t at_ = 0;
  std::uint64_t key_ = 0;
};

/// Numbers of a problem, or proposals of its solve, that an input may ask for.
inline std::int64_t work_of(std::span<const std::uint8_t> data) {
  const auto size = static_cast<std::int64_t>(std::min<std::size_t>(data.size(), 1000));
  return std::min<std::int64_t>(100 + size * size / 8, 60'000);
}

}  // namespace qama::fuzz
