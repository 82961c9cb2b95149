// PieceSplitter: the tokenisers "wordpiece" and "unigram" of the model file: a text's characters
// become what the model's table says (weights/normaliser.h), blanks part words, and a word becomes
// pieces of the vocabulary. Internal to the engine.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "hal/base/utf8.h"
#include "weights/model_file.h"

namespace qama::runtime {

/// A text's piece.
struct Piece {
  std::int32_t id = 0;    ///< 1: the vocabulary has none for the word
  std::string_view text;  ///< as the vocabulary has it; of an unknown word, the word
};

/// Immutable. Allocates nothing after it is made; takes time in proportion to the text.
class PieceSplitter {
 public:
  /// The file must outlive it.
  explicit PieceSplitter(const weights::ModelFile& file);

  /// Gives every piece of `text` to sink(piece). Bytes that are no UTF-8 are left out.
  template <typename Sink>
  void split(std::string_view text, Sink&& sink) const {
    Word word;
    const auto finish = [&] {
      for (const Piece& piece : pieces_of(word)) sink(piece);
      word.size = 0;
      word.begun = false;
    };
    const auto add = [&](std::string_view character) {
      if (character == " ") {
        finish();
      } else if (!put(word, character)) {
        // A word without an end: what is behind goes on in it.
        finish();
        word.begun = true;
        put(word, character);
      }
    };
    while (!text.empty()) {
      auto [bytes, value] = file_.normaliser().find(text);
      if (bytes == 0) {
        bytes = utf8_length(text);
        value = text.substr(0, bytes);
      } else {
        for (; !value.empty(); value.remove_prefix(utf8_length(value))) {
          add(value.substr(0, utf8_length(value)));
        }
      }
      text.remove_prefix(std::max<std::size_t>(bytes, 1));
      if (value.empty()) continue;
      const bool alone = stands_alone(value);
      if (alone) finish();
      add(is_blank(value.front()) ? " " : value);
      if (alone) finish();
    }
    finish();
  }

 private:
  /// Bytes of a word. WordPiece knows none of more than 100 characters.
  static constexpr std::size_t kLongest = 1024;

  struct Word {
    std::array<char, kLongest> letters;
    std::array<Piece, kLongest> pieces;
    std::size_t size = 0;
    bool begun = false;  ///< its first part was split already
  };

  static bool is_blank(char c) noexcept { return c == '\t' || c == '\n' || c == '\r' || c == ' '; }
  /// Whether a character is a word of its own: CJK, in WordPiece.
  [[nodiscard]] bool stands_alone(std::string_view character) const noexcept;
  /// False if there is no room and the word is to be split first.
  bool put(Word& word, std::string_view character) const noexcept;
  /// None of an empty word.
  std::span<const Piece> pieces_of(Word& word) const noexcept;
  std::span<const Piece> longest_first(Word& word) const noexcept;
  std::span<const Piece> best_scored(Word& word) const noexcept;

  const weights::ModelFile& file_;
  bool unigram_;
  std::span<const float> scores_;  // of a unigram model, by token
  float unknown_score_ = 0;
  std::size_t longest_piece_ = 0;  // bytes
};

}  // namespace qama::runtime
