// SHA-256 (FIPS 180-4) for systems that bring none. Included by sha256.cpp, and by its test on all
// systems.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace qama::platform {

class OwnSha256 {
 public:
  void add(std::span<const std::uint8_t> bytes) noexcept {
    size_ += bytes.size();
    while (!bytes.empty()) {
      const std::size_t part = std::min(bytes.size(), block_.size() - used_);
      std::copy_n(bytes.begin(), part, block_.begin() + static_cast<std::ptrdiff_t>(used_));
      bytes = bytes.subspan(part);
      used_ += part;
      if (used_ == block_.size()) compress();
    }
  }
  /// Writes 32 bytes.
  void end(std::uint8_t* out) noexcept {
    const std::uint64_t bits = size_ * 8;
    constexpr std::uint8_t kMark = 0x80;
    add({&kMark, 1});
    constexpr std::uint8_t kZero = 0;
    while (used_ != block_.size() - 8) add({&kZero, 1});
    for (std::size_t k = 0; k < 8; ++k)
      block_[block_.size() - 1 - k] = static_cast<std::uint8_t>(bits >> (8 * k));
    compress();
    for (std::size_t k = 0; k < 32; ++k)
      out[k] = static_cast<std::uint8_t>(state_[k / 4] >> (24 - 8 * (k % 4)));
  }

 private:
  static void round(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t& d,
                    std::uint32_t e, std::uint32_t f, std::uint32_t g, std::uint32_t& h,
                    std::uint32_t word) noexcept {
    h += (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + (g ^ (e & (f ^ g))) + word;
    d += h;
    h += (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) | (c & (a | b)));
  }
  void compress() noexcept {
    // The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
    static constexpr std::array<std::uint32_t, 64> kRounds = {
        0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4,
        0xAB1C5ED5, 0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE,
        0x9BDC06A7, 0xC19BF174, 0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F,
        0x4A7484AA, 0x5CB0A9DC, 0x76F988DA, 0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7,
        0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967, 0x27B70A85, 0x2E1B2138, 0x4D2C6DFC,
        0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85, 0xA2BFE8A1, 0xA81A664B,
        0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070, 0x19A4C116,
        0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
        0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7,
        0xC67178F2};
    std::array<std::uint32_t, 64> w;
    for (std::size_t i = 0; i < 16; ++i) {
      const std::uint8_t* b = block_.data() + 4 * i;
      w[i] =
          std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
    }
    for (std::size_t i = 16; i < 64; ++i) {
      const std::uint32_t a = w[i - 15];
      const std::uint32_t b = w[i - 2];
      w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + w[i - 7] +
             (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    // Eight rounds, so that no number moves to the place of the next one.
    for (std::size_t i = 0; i < 64; i += 8) {
      round(a, b, c, d, e, f, g, h, kRounds[i] + w[i]);
      round(h, a, b, c, d, e, f, g, kRounds[i + 1] + w[i + 1]);
      round(g, h, a, b, c, d, e, f, kRounds[i + 2] + w[i + 2]);
      round(f, g, h, a, b, c, d, e, kRounds[i + 3] + w[i + 3]);
      round(e, f, g, h, a, b, c, d, kRounds[i + 4] + w[i + 4]);
      round(d, e, f, g, h, a, b, c, kRounds[i + 5] + w[i + 5]);
      round(c, d, e, f, g, h, a, b, kRounds[i + 6] + w[i + 6]);
      round(b, c, d, e, f, g, h, a, kRounds[i + 7] + w[i + 7]);
    }
    const std::array<std::uint32_t, 8> added = {a, b, c, d, e, f, g, h};
    for (std::size_t k = 0; k < 8; ++k) state_[k] += added[k];
    used_ = 0;
  }

  // The first 32 bits of the fractional parts of the square roots of the first 8 primes.
  std::array<std::uint32_t, 8> state_ = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                         0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
  std::array<std::uint8_t, 64> block_{};
  std::size_t used_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace qama::platform
