#include "runtime/engine/pieces.h"

#include <limits>
#include <utility>

#include "runtime/engine/preprocess.h"

namespace qama::runtime {
namespace {

/// What a unigram model puts before a word: U+2581.
constexpr std::string_view kBlank = "\xE2\x96\x81";
/// Characters of a word that WordPiece splits.
constexpr std::size_t kMostCharacters = 100;
/// A piece with a score below this is one that texts have not.
constexpr float kNeverTaken = -1e20F;
/// What a character without a piece costs beside the worst piece.
constexpr float kUnknownPenalty = 10.0F;

bool begins_character(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xC0U) != 0x80;
}

/// Of a character in UTF-8.
char32_t code_of(std::string_view character) noexcept {
  const auto first = static_cast<unsigned char>(character.front());
  char32_t code = character.size() == 1   ? first
                  : character.size() == 2 ? first & 0x1FU
                  : character.size() == 3 ? first & 0x0FU
                                          : first & 0x07U;
  for (const char c : character.substr(1))
    code = code << 6 | (static_cast<unsigned char>(c) & 0x3FU);
  return code;
}

/// The ideographs of BERT's definition.
constexpr std::pair<char32_t, char32_t> kIdeographs[] = {
    {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
    {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF}, {0x2F800, 0x2FA1F}};

}  // namespace

PieceSplitter::PieceSplitter(const weights::ModelFile& file)
    : file_(file), unigram_(file.architecture().pieces == weights::Pieces::unigram) {
  for (const std::string_view piece : file.vocabulary().words()) {
    longest_piece_ = std::max(longest_piece_, piece.size());
  }
  if (!unigram_) return;
  scores_ = *file.f32("vocabulary.scores");
  float lowest = 0.0F;
  for (const float score : scores_) {
    if (score > kNeverTaken) lowest = std::min(lowest, score);
  }
  unknown_score_ = lowest - kUnknownPenalty;
}

bool PieceSplitter::stands_alone(std::string_view character) const noexcept {
  if (unigram_ || character.size() < 3) return false;
  const char32_t code = code_of(character);
  return std::any_of(std::begin(kIdeographs), std::end(kIdeographs), [code](const auto& range) {
    return code >= range.first && code <= range.second;
  });
}

bool PieceSplitter::put(Word& word, std::string_view character) const noexcept {
  const bool first = unigram_ && word.size == 0 && !word.begun;
  const std::size_t bytes = character.size() + (first ? kBlank.size() : 0);
  // WordPiece does not know such a word whatever comes behind.
  if (word.size + bytes > kLongest) return !unigram_;
  if (first)
    word.size =
        std::copy(kBlank.begin(), kBlank.end(), word.letters.begin()) - word.letters.begin();
  std::copy(character.begin(), character.end(),
            word.letters.begin() + static_cast<std::ptrdiff_t>(word.size));
  word.size += character.size();
  return true;
}

std::span<const Piece> PieceSplitter::pieces_of(Word& word) const noexcept {
  if (word.size == 0) return {};
  return unigram_ ? best_scored(word) : longest_first(word);
}

std::span<const Piece> PieceSplitter::longest_first(Word& word) const noexcept {
  constexpr std::string_view kInside = "##";  // before a piece that does not begin a word
  const std::string_view text(word.letters.data(), word.size);
  const auto unknown = [&] {
    word.pieces[0] = {kUnknownWord, text};
    return std::span<const Piece>(word.pieces).first(1);
  };
  if (std::count_if(text.begin(), text.end(), begins_character) >
      static_cast<std::ptrdiff_t>(kMostCharacters)) {
    return unknown();
  }
  std::array<char, kInside.size() + 4 * kMostCharacters> key;
  std::copy(kInside.begin(), kInside.end(), key.begin());
  std::size_t count = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::string_view rest = text.substr(begin);
    std::copy(rest.begin(), rest.end(), key.begin() + kInside.size());
    const std::string_view with = {key.data(), kInside.size() + rest.size()};
    const std::string_view wanted = begin > 0 ? with : rest;
    const std::size_t before = wanted.size() - rest.size();
    std::int32_t found = -1;
    std::size_t bytes = std::min(rest.size(), longest_piece_);
    for (; bytes > 0; --bytes) {
      if (bytes < rest.size() && !begins_character(rest[bytes])) continue;
      found = file_.vocabulary().find(wanted.substr(0, before + bytes));
      if (found >= weights::kSpecialPieces) break;
    }
    if (bytes == 0) return unknown();
    word.pieces[count++] = {found, file_.vocabulary().words()[static_cast<std::size_t>(found)]};
    begin += bytes;
  }
  return std::span<const Piece>(word.pieces).first(count);
}

std::span<const Piece> PieceSplitter::best_scored(Word& word) const noexcept {
  const std::string_view text(word.letters.data(), word.size);
  /// The best way to a place in the word: its score, and the piece that ends there.
  struct Way {
    float score = -std::numeric_limits<float>::infinity();
    std::int32_t id = kUnknownWord;
    std::size_t begin = 0;
  };
  std::array<Way, kLongest + 1> ways;
  std::fill_n(ways.begin(), text.size() + 1, Way{});
  ways[0].score = 0.0F;
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    if (!begins_character(text[begin])) continue;
    const std::string_view rest = text.substr(begin);
    const auto offer = [&](std::size_t bytes, std::int32_t id, float score) {
      Way& way = ways[begin + bytes];
      if (ways[begin].score + score > way.score) way = {ways[begin].score + score, id, begin};
    };
    const std::size_t character = utf8_length(rest);
    bool known = false;
    for (std::size_t bytes = 1; bytes <= std::min(rest.size(), longest_piece_); ++bytes) {
      if (bytes < rest.size() && !begins_character(rest[bytes])) continue;
      const std::int32_t id = file_.vocabulary().find(rest.substr(0, bytes));
      if (id < 0 || !(scores_[static_cast<std::size_t>(id)] > kNeverTaken)) continue;
      known = known || bytes == character;
      offer(bytes, id, scores_[static_cast<std::size_t>(id)]);
    }
    if (!known) offer(character, kUnknownWord, unknown_score_);
  }
  // From the word's end to its beginning, into the end of the room for pieces; unknown characters
  // side by side are one piece.
  std::size_t first = word.pieces.size();
  for (std::size_t end = text.size(); end > 0; end = ways[end].begin) {
    const Way& way = ways[end];
    const std::string_view part = text.substr(way.begin, end - way.begin);
    if (way.id == kUnknownWord && first < word.pieces.size() &&
        word.pieces[first].id == kUnknownWord) {
      word.pieces[first].text = {part.data(), part.size() + word.pieces[first].text.size()};
    } else {
      word.pieces[--first] = {way.id, part};
    }
  }
  return std::span<const Piece>(word.pieces).subspan(first);
}

}  // namespace qama::runtime
