// Faults that the emulator injects on purpose, one roll of the dice a job and kind.
//
// To add one: an enumerator at the end (its number is part of PROTOCOL.md's FAULT message), its row
// in kFaultNames, and its effect: on the bytes of a reply in fault.cpp, on anything else in
// service.cpp or behind HTTP.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

namespace qama::emulator {

enum class FaultKind : std::uint16_t {
  drop,             ///< 0: the reply is never sent
  delay,            ///< 1: the reply comes `argument` us later
  duplicate,        ///< 2: the reply comes twice
  truncate,         ///< 3: half the reply, then the connection ends
  flip_in_transit,  ///< 4: a bit of the reply flips after its CRC is made; argument 1: in the
                    ///< header
  flip_before_crc,  ///< 5: a spin flips before the CRC is made: only the energy shows it
  wrong_size,       ///< 6: the reply holds one spin too few
  stall,            ///< 7: the whole machine does nothing for `argument` us
  restart,          ///< 8: everything is forgotten, all connections end, a new epoch
  queue_full,       ///< 9: refused as if the queue were full
  calibrating,      ///< 10: the machine calibrates for `argument` us
  slow_reader,      ///< 11: for `argument` us the connection is read by 512 bytes a millisecond
  // Of the HTTP paths alone (http_terminal.cpp, http_cloud.cpp).
  token_expires,   ///< 12: a request is refused, and its token with it
  task_fails,      ///< 13: the task ends as failed
  submit_lost,     ///< 14: a task is taken, and the connection ends without a reply
  slow_poll,       ///< 15: the reply to a question for a task comes `argument` us later
  damaged_answer,  ///< 16: an answer has a wrong spin, value, row or end
  count_
};
inline constexpr std::size_t kFaultKinds = static_cast<std::size_t>(FaultKind::count_);
/// The first of them: what FAULT may ask for.
inline constexpr std::size_t kLinkFaultKinds = static_cast<std::size_t>(FaultKind::token_expires);
inline constexpr std::array<std::string_view, kFaultKinds> kFaultNames = {
    "drop",          "delay",           "duplicate",
    "truncate",      "flip-in-transit", "flip-before-crc",
    "wrong-size",    "stall",           "restart",
    "queue-full",    "calibrating",     "slow-reader",
    "token-expires", "task-fails",      "submit-lost",
    "slow-poll",     "damaged-answer"};

struct FaultSetting {
  std::uint32_t parts_per_million = 0;
  std::uint64_t argument = 0;  ///< 0: the kind's own default
  std::uint64_t injected = 0;
};

/// The settings and the dice. One thread.
class FaultPlan {
 public:
  explicit FaultPlan(std::uint64_t seed) : random_(seed) {}
  FaultSetting& operator[](FaultKind kind) { return settings_[static_cast<std::size_t>(kind)]; }
  /// Whether this kind strikes now.
  [[nodiscard]] bool strikes(FaultKind kind);
  /// The kind's argument as a time; `otherwise` if none is set.
  [[nodiscard]] std::chrono::microseconds time_of(FaultKind kind,
                                                  std::chrono::microseconds otherwise);

  /// flip_before_crc and wrong_size, on RESULT's payload.
  void damage_result(std::vector<std::uint8_t>& payload);
  /// flip_in_transit, on a whole frame whose header has `header_bytes`.
  void damage_frame(std::vector<std::uint8_t>& frame, std::size_t header_bytes);
  /// From 0 to below `below`.
  [[nodiscard]] std::uint64_t number(std::uint64_t below) {
    return std::uniform_int_distribution<std::uint64_t>(0, below - 1)(random_);
  }

 private:
  std::array<FaultSetting, kFaultKinds> settings_;
  std::mt19937_64 random_;
};

}  // namespace qama::emulator
