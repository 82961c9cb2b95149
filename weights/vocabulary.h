// Vocabulary: the words of a text model, and which token a word is.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace qama::weights {

/// Words by token id. Its views are into the bytes that it was read from.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// Reads words of which each ends with a newline (the last may do without): `expected` of them,
  /// none empty, none twice, the first two "<pad>" and "<unk>". MODEL_BAD_VOCABULARY.
  [[nodiscard]] static Result<Vocabulary> read(std::string_view text, std::int32_t expected);

  [[nodiscard]] std::span<const std::string_view> words() const noexcept { return words_; }
  /// The token id of `word`, -1 if it is none of the words.
  [[nodiscard]] std::int32_t find(std::string_view word) const noexcept;

 private:
  /// The place of `word` in slots_: its own, or the empty one where it would stand.
  [[nodiscard]] std::size_t slot(std::string_view word) const noexcept;

  std::vector<std::string_view> words_;
  // A hash table with open addressing: token ids, or -1. At least half of it is empty, its size is
  // a power of two. One allocation instead of one for each word: opening a model is start-up time.
  std::vector<std::int32_t> slots_;
};

}  // namespace qama::weights
