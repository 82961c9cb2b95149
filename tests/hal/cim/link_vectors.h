// The golden messages of the link (link_vectors.py says what is in which), for the tests of both
// codecs.
#pragma once

#include <array>
#include <cctype>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "tests/test_support.h"

namespace qama::test {

using Bytes = std::vector<std::uint8_t>;
using Id = std::array<std::uint8_t, 16>;

inline Bytes vector_of(const std::string& name) {
  std::ifstream stream(source_path("tests/hal/cim/vectors/" + name + ".hex"));
  EXPECT_TRUE(stream.good()) << name;
  Bytes out;
  std::string digits;
  for (char c = 0; stream.get(c);) {
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) continue;
    digits += c;
    if (digits.size() == 2) {
      out.push_back(static_cast<std::uint8_t>(std::stoi(digits, nullptr, 16)));
      digits.clear();
    }
  }
  return out;
}

inline Id counting(std::uint8_t first) {
  Id id;
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = static_cast<std::uint8_t>(first + i);
  return id;
}
inline const Id kJob = counting(0x10);
inline const Id kToken = counting(0xA0);
/// Stands for what TLS would give.
inline const std::array<std::uint8_t, 32> kBinding = [] {
  std::array<std::uint8_t, 32> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(0xC0 + i);
  return out;
}();
inline constexpr std::uint64_t kEpoch = 0x1122334455667788U;

/// Calls check(bytes) with every message that has one bit flipped.
template <typename Check>
void for_every_flipped_bit(const Check& check) {
  for (const char* name : {"hello", "hello_ack", "submit", "result", "error", "pong", "goodbye"}) {
    Bytes bytes = vector_of(name);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
      bytes[bit / 8] ^= mask;
      EXPECT_TRUE(check(bytes)) << name << " bit " << bit;
      bytes[bit / 8] ^= mask;
    }
  }
}

}  // namespace qama::test
