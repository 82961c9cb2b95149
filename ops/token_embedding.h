// TokenEmbedding: a text's word vectors, and the positions added to their projection.
#pragma once

#include <cstdint>
#include <span>

namespace qama::ops {

/// Looks words up in a table that stays the model file's own.
struct TokenEmbedding {
  std::span<const float> table;  ///< [vocabulary][embedding]
  std::int64_t embedding = 0;
  std::int64_t neighbours = 0;  ///< on either side, whose rows stand beside a token's own

  [[nodiscard]] std::int64_t vocabulary() const noexcept {
    return static_cast<std::int64_t>(table.size()) / embedding;
  }
  /// The rows of `ids` to `out` [rows][2 neighbours + 1][embedding], a token's own in the middle; 0
  /// where a neighbour would be outside of the text, and in rows from tokens to rows. Precondition:
  /// every id is in 0 .. vocabulary() - 1.
  void run(const std::int32_t* ids, std::int64_t tokens, std::int64_t rows,
           float* out) const noexcept;
};

/// x += position over tokens * dim elements.
void add_position(std::int64_t tokens, std::int64_t dim, const float* position, float* x) noexcept;

}  // namespace qama::ops
