// What every tokeniser does to a text before it splits it: HTML, blanks that are no ASCII ones and
// typographic signs become what the models' training texts have. weights/FORMAT.md has the rules;
// fold.py of the exporter implements the same ones, and tests/golden/text holds both to a table.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace qama::runtime {

/// A folded text, piece by piece. Allocates nothing; takes time in proportion to the text. Bytes
/// that are no UTF-8 stay as they are.
class FoldedText {
 public:
  /// Keeps `text`, which must outlive it.
  explicit FoldedText(std::string_view text) noexcept : rest_(text) {}
  /// The next piece; empty at the end only. Valid until the next call.
  [[nodiscard]] std::string_view next() noexcept;

 private:
  std::string_view take(std::size_t bytes) noexcept;
  std::string_view symbol(char32_t code) noexcept;
  /// What the tag or the character reference that begins rest_ stands for; false: it begins none.
  bool tag(std::string_view& out) noexcept;
  bool reference(std::string_view& out) noexcept;

  std::string_view rest_;
  std::array<char, 8> made_{};  ///< a piece that is no part of the text
};

}  // namespace qama::runtime
