// Signed integers of N words of 64 bits, for sums that must not round: a double is a mantissa of 53
// bits at some shift, and a sum of doubles is exact in an integer that is wide enough. Only what
// landscape.cpp needs. Header only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace qama::hal {

/// `mantissa` times 2^`shift`, in units that the user of a Wide has chosen. Shifts are not
/// negative.
struct Scaled {
  std::int64_t mantissa = 0;
  std::int32_t shift = 0;
};

/// Two's complement, the lowest word first. Nobody checks for overflow: choose N from the largest
/// sum.
template <std::size_t N>
struct Wide {
  std::array<std::uint64_t, N> words{};

  void add(Scaled value) noexcept {
    const std::size_t at = static_cast<std::size_t>(value.shift) / 64;
    const unsigned bits = static_cast<unsigned>(value.shift) % 64;
    const std::uint64_t sign = value.mantissa < 0 ? ~std::uint64_t{0} : 0;
    const auto low = static_cast<std::uint64_t>(value.mantissa);
    bool carry = add_word(at, low << bits, false);
    if (at + 1 >= N) return;
    // What the shift moved into the next word, and the sign in all bits above.
    carry = add_word(at + 1, bits == 0 ? sign : (low >> (64 - bits)) | (sign << bits), carry);
    for (std::size_t k = at + 2; k < N; ++k) carry = add_word(k, sign, carry);
  }
  void subtract(Scaled value) noexcept { add({-value.mantissa, value.shift}); }

  Wide& operator+=(const Wide& other) noexcept {
    bool carry = false;
    for (std::size_t k = 0; k < N; ++k) carry = add_word(k, other.words[k], carry);
    return *this;
  }
  void negate() noexcept {
    bool carry = true;
    for (std::uint64_t& word : words) {
      word = ~word;
      if (carry) carry = ++word == 0;
    }
  }
  [[nodiscard]] bool negative() const noexcept { return (words[N - 1] >> 63) != 0; }
  [[nodiscard]] friend Wide operator+(Wide a, const Wide& b) noexcept { return a += b; }
  [[nodiscard]] friend bool operator<(const Wide& a, const Wide& b) noexcept {
    const auto high_a = static_cast<std::int64_t>(a.words[N - 1]);
    const auto high_b = static_cast<std::int64_t>(b.words[N - 1]);
    if (high_a != high_b) return high_a < high_b;
    for (std::size_t k = N - 1; k-- > 0;) {
      if (a.words[k] != b.words[k]) return a.words[k] < b.words[k];
    }
    return false;
  }
  bool operator==(const Wide&) const = default;

 private:
  bool add_word(std::size_t k, std::uint64_t value, bool carry) noexcept {
    const bool first = __builtin_add_overflow(words[k], value, &words[k]);
    const bool second =
        __builtin_add_overflow(words[k], static_cast<std::uint64_t>(carry), &words[k]);
    return first || second;
  }
};

}  // namespace qama::hal
