// TokenEmbedding: a text's word vectors and the scores of its n-grams, and the positions added to
// their projection.
#pragma once

#include <cstdint>
#include <span>

namespace qama::ops {

/// Looks words up in tables that stay the model file's own.
struct TokenEmbedding {
  std::span<const float> table;  ///< [vocabulary][embedding]; empty: `small`
  std::int64_t embedding = 0;
  std::int64_t neighbours = 0;           ///< on either side, whose rows stand beside a token's own
  std::span<const float> scores{};       ///< of n-grams, which share rows; empty: none
  std::int64_t ngrams = 0;               ///< words of the longest n-gram
  std::span<const std::int8_t> small{};  ///< the table in int8
  std::span<const float> scales{};       ///< its rows' [vocabulary]

  [[nodiscard]] std::int64_t vocabulary() const noexcept {
    return static_cast<std::int64_t>(table.size() + small.size()) / embedding;
  }
  /// Floats of a row of the result.
  [[nodiscard]] std::int64_t width() const noexcept {
    return (2 * neighbours + 1) * embedding + (scores.empty() ? 0 : 1);
  }
  /// The rows of `ids` to `out` [rows][width()]: [2 neighbours + 1][embedding], a token's own in
  /// the middle, 0 where a neighbour would be outside of the text, then the score if there are any;
  /// 0 in rows from tokens to rows. Precondition: every id is in 0 .. vocabulary() - 1.
  void run(const std::int32_t* ids, std::int64_t tokens, std::int64_t rows,
           float* out) const noexcept;
  /// The sum of the scores of the n-grams that end with token i; none begins before the text.
  [[nodiscard]] float score(const std::int32_t* ids, std::int64_t i) const noexcept;
  /// The vector of a word to `out`.
  void row(std::int32_t id, float* out) const noexcept;
};

/// The hash of an n-gram from that of its words after the first, which has this id; 0 is the hash
/// of none. The multiplier is 2^32 over the golden ratio, the rest the end of MurmurHash3.
[[nodiscard]] constexpr std::uint32_t ngram_hash(std::uint32_t rest, std::int32_t id) noexcept {
  std::uint32_t h = rest * 0x9E3779B1U + static_cast<std::uint32_t>(id);
  h = (h ^ (h >> 16)) * 0x85EBCA6BU;
  h = (h ^ (h >> 13)) * 0xC2B2AE35U;
  return h ^ (h >> 16);
}

/// x += position over tokens * dim elements.
void add_position(std::int64_t tokens, std::int64_t dim, const float* position, float* x) noexcept;

}  // namespace qama::ops
