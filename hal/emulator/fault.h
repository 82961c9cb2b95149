// Faults that the emulator injects on purpose, one dice roll a job and kind. To add one: an
// enumerator at the end (numbers are part of PROTOCOL.md's FAULT message), its row in kFaultNames,
// its place in server.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string_view>

namespace qama::emulator {

enum class FaultKind : std::uint16_t {
  drop,             ///< 0: the reply is never sent
  delay,            ///< 1: the reply comes `argument` us later
  duplicate,        ///< 2: the reply comes twice
  truncate,         ///< 3: half the reply, then the connection ends
  flip_in_transit,  ///< 4: a bit of the reply flips behind the CRC's back; argument 1: in the
                    ///< header
  flip_before_crc,  ///< 5: a spin flips before the CRC is made: only the energy shows it
  wrong_size,       ///< 6: the reply holds one spin too few
  stall,            ///< 7: the whole machine does nothing for `argument` us
  restart,          ///< 8: everything is forgotten, all connections end, a new epoch
  queue_full,       ///< 9: refused as if the queue were full
  calibrating,      ///< 10: the machine calibrates for `argument` us
  slow_reader,      ///< 11: for `argument` us the connection is read by 512 bytes a millisecond
  count_
};
inline constexpr std::size_t kFaultKinds = static_cast<std::size_t>(FaultKind::count_);
inline constexpr std::array<std::string_view, kFaultKinds> kFaultNames = {
    "drop",       "delay", "duplicate", "truncate",   "flip-in-transit", "flip-before-crc",
    "wrong-size", "stall", "restart",   "queue-full", "calibrating",     "slow-reader"};

struct FaultSetting {
  std::uint32_t parts_per_million = 0;
  std::uint64_t argument = 0;  ///< 0: the kind's own default
  std::uint64_t injected = 0;
};

/// The dice. One thread.
class FaultPlan {
 public:
  explicit FaultPlan(std::uint64_t seed) : random_(seed) {}
  FaultSetting& operator[](FaultKind kind) { return settings_[static_cast<std::size_t>(kind)]; }
  /// Whether this kind strikes now.
  bool strikes(FaultKind kind) {
    FaultSetting& setting = (*this)[kind];
    if (setting.parts_per_million == 0) return false;
    if (std::uniform_int_distribution<std::uint32_t>(0, 999'999)(random_) >=
        setting.parts_per_million) {
      return false;
    }
    ++setting.injected;
    return true;
  }
  std::uint64_t number(std::uint64_t below) {
    return std::uniform_int_distribution<std::uint64_t>(0, below - 1)(random_);
  }

 private:
  std::array<FaultSetting, kFaultKinds> settings_;
  std::mt19937_64 random_;
};

}  // namespace qama::emulator
