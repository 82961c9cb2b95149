// Normaliser: what becomes of the characters of a text before a piece tokeniser (Pieces) splits it.
// A table of the model file, made from the checkpoint's own files. FORMAT.md has its form.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/base/result.h"

namespace qama::weights {

/// Keys and what each becomes. Its views are into the bytes that it was read from.
class Normaliser {
 public:
  /// Characters of the longest key.
  static constexpr std::size_t kMaxKey = 4;
  /// Bytes of the longest value.
  static constexpr std::size_t kMaxValue = 96;

  Normaliser() = default;
  /// Lines KEY, tab, VALUE, in UTF-8: keys of 1 to kMaxKey characters, rising as bytes, none twice;
  /// values of at most kMaxValue bytes. MODEL_BAD_VOCABULARY.
  [[nodiscard]] static Result<Normaliser> read(std::string_view text);

  struct Found {
    std::size_t bytes = 0;  ///< of the text that became `value`; 0: no key begins the text
    std::string_view value;
  };
  /// The longest key that begins `text`, which is not empty.
  [[nodiscard]] Found find(std::string_view text) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return lines_.size(); }

 private:
  std::vector<std::pair<std::string_view, std::string_view>> lines_;  // by key
  std::size_t longest_ = 0;                                           // key, in characters
};

}  // namespace qama::weights
