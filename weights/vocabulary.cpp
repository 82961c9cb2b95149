#include "weights/vocabulary.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <string>

#include "hal/base/quote.h"

namespace qama::weights {

Result<Vocabulary> Vocabulary::read(std::string_view text, std::int32_t expected) {
  constexpr ErrorCode kCode = ErrorCode::model_bad_vocabulary;
  if (text.ends_with('\n')) text.remove_suffix(1);
  const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
  if (lines != expected) {
    return Error{kCode, "vocabulary: " + std::to_string(lines) + " words, expected " +
                            std::to_string(expected)};
  }
  Vocabulary out;
  const auto count = static_cast<std::size_t>(expected);
  out.words_.reserve(count);
  out.slots_.assign(std::bit_ceil(2 * count), -1);
  const auto bad = [&](std::string_view word, const std::string& what) {
    return Error{kCode, "vocabulary: word " + std::to_string(out.words_.size()) + " is " +
                            (word.empty() ? "empty" : quote(word)) + what};
  };
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    constexpr std::array<std::string_view, 2> kSpecial = {"<pad>", "<unk>"};
    const std::size_t id = out.words_.size();
    if (id < kSpecial.size() && word != kSpecial[id]) {
      return bad(word, ", expected " + quote(kSpecial[id]));
    }
    if (word.empty()) return bad(word, "");
    std::int32_t& place = out.slots_[out.slot(word)];
    if (place >= 0) return bad(word, ", which is there already");
    place = static_cast<std::int32_t>(id);
    out.words_.push_back(word);
    begin = end + 1;
  }
  return out;
}

std::int32_t Vocabulary::find(std::string_view word) const noexcept {
  return slots_.empty() ? -1 : slots_[slot(word)];
}

std::size_t Vocabulary::slot(std::string_view word) const noexcept {
  const std::size_t last = slots_.size() - 1;
  std::size_t i = std::hash<std::string_view>{}(word)&last;
  while (slots_[i] >= 0 && words_[static_cast<std::size_t>(slots_[i])] != word) i = (i + 1) & last;
  return i;
}

}  // namespace qama::weights
