// Texts: the checks on their bytes and the tokeniser "words", which every text model so far uses. Another
// tokeniser is another class here and another name in the model's preprocess record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/base/result.h"

namespace qama::io {

inline constexpr std::size_t kMaxTextBytes = std::size_t{16} << 20;

/// Ok, or TEXT_BAD_ENCODING with the place: not UTF-8, or a zero byte (a binary file). `name` is for the
/// sentence.
[[nodiscard]] Status check_utf8(std::string_view text, std::string_view name);

/// Token ids every vocabulary begins with.
inline constexpr std::int32_t kPadToken = 0;
inline constexpr std::int32_t kUnknownToken = 1;

/// The tokeniser "words": "<br />" counts as a space; ASCII letters are lowered; a token is a longest run of
/// [a-z0-9'] and bytes >= 0x80, or a single other ASCII character that is not white space. Immutable once
/// made, may be shared between threads.
class WordTokeniser {
 public:
  /// `vocabulary`: word of token id i at i; ids 0 and 1 are "<pad>" and "<unk>". The words are referred to,
  /// not copied: they must outlive the tokeniser. The first of equal words counts.
  WordTokeniser(std::span<const std::string_view> vocabulary, bool lowercase);

  /// Writes the ids of the first out.size() tokens and returns how many those are: at least 1, as a text
  /// without tokens counts as one unknown word (0 only for an empty `out`). The rest of `out` is kPadToken.
  [[nodiscard]] std::size_t encode(std::string_view text, std::span<std::int32_t> out) const;

  /// The tokens of a text as words, for tests and tools.
  [[nodiscard]] std::vector<std::string> split(std::string_view text) const;

 private:
  template <typename Take>
  void for_each_token(std::string_view text, Take take) const;

  std::unordered_map<std::string_view, std::int32_t> ids_;
  bool lowercase_ = true;
};

}  // namespace qama::io
