#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "runtime/engine/preprocess.h"

namespace qama::runtime {
namespace {

constexpr std::int32_t kUnknown = 1;
constexpr std::string_view kLineBreak = "<br />";

bool is_space(unsigned char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_word(unsigned char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\'' ||
         c >= 0x80;
}

/// What "penn_words" cuts off the end of a word.
constexpr std::string_view kContractions[] = {"n't", "'s", "'m", "'d", "'re", "'ve", "'ll"};

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

struct Tokeniser::Impl {
  std::shared_ptr<const Model> model;  // owns the words
  std::unordered_map<std::string_view, std::int32_t> ids;
  bool lowercase = true;
  bool contractions = false;  // cut off
  std::size_t max_tokens = 0;
  /// A word longer than the vocabulary's longest cannot be in it.
  static constexpr std::size_t kLongest = 256;

  bool same(std::string_view part, std::string_view folded) const noexcept {
    return std::equal(part.begin(), part.end(), folded.begin(), folded.end(),
                      [this](char a, char b) { return (lowercase ? lower(a) : a) == b; });
  }

  /// Bytes of the contraction that ends `word`, 0 if none is cut off.
  std::size_t contraction(std::string_view word) const noexcept {
    if (!contractions) return 0;
    for (const std::string_view end : kContractions) {
      if (word.size() > end.size() && same(word.substr(word.size() - end.size()), end))
        return end.size();
    }
    return 0;
  }

  std::int32_t look_up(std::string_view word) const noexcept {
    std::array<char, kLongest> folded;
    if (word.size() > folded.size()) return kUnknown;
    if (lowercase) {
      std::transform(word.begin(), word.end(), folded.begin(), lower);
      word = {folded.data(), word.size()};
    }
    const auto found = ids.find(word);
    return found == ids.end() ? kUnknown : found->second;
  }
};

Tokeniser::Tokeniser(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokeniser::~Tokeniser() = default;
Tokeniser::Tokeniser(Tokeniser&&) noexcept = default;
Tokeniser& Tokeniser::operator=(Tokeniser&&) noexcept = default;

Result<Tokeniser> Tokeniser::create(std::shared_ptr<const Model> model) {
  if (!model->architecture().is_text()) {
    return Error{ErrorCode::model_wrong_kind, "the model classifies images, expected one for text"};
  }
  auto impl = std::make_unique<Impl>();
  const auto words = model->file().vocabulary();
  impl->ids.reserve(words.size());
  // <pad> and <unk> are no words of a text.
  for (std::size_t id = 2; id < words.size(); ++id) {
    if (words[id].size() <= Impl::kLongest)
      impl->ids.emplace(words[id], static_cast<std::int32_t>(id));
  }
  impl->lowercase = model->preprocess().lowercase;
  impl->contractions = model->preprocess().tokeniser == weights::Tokeniser::penn_words;
  impl->max_tokens = static_cast<std::size_t>(model->architecture().max_tokens);
  impl->model = std::move(model);
  return Tokeniser(std::move(impl));
}

Result<std::int32_t> Tokeniser::encode(std::string_view text, std::span<std::int32_t> ids) const {
  if (ids.size() != impl_->max_tokens) {
    return Error{ErrorCode::invalid_argument, "room for " + std::to_string(ids.size()) +
                                                  " tokens, expected the model's " +
                                                  std::to_string(impl_->max_tokens)};
  }
  std::fill(ids.begin(), ids.end(), 0);
  std::size_t count = 0;
  std::size_t at = 0;
  while (at < text.size() && count < ids.size()) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (is_space(c)) {
      ++at;
    } else if (impl_->same(text.substr(at, kLineBreak.size()), kLineBreak)) {
      at += kLineBreak.size();
    } else if (is_word(c)) {
      std::size_t end = at + 1;
      while (end < text.size() && is_word(static_cast<unsigned char>(text[end]))) ++end;
      const std::size_t tail = impl_->contraction(text.substr(at, end - at));
      ids[count++] = impl_->look_up(text.substr(at, end - at - tail));
      if (tail > 0 && count < ids.size())
        ids[count++] = impl_->look_up(text.substr(end - tail, tail));
      at = end;
    } else {
      ids[count++] = impl_->look_up(text.substr(at, 1));
      ++at;
    }
  }
  if (count == 0) ids[count++] = kUnknown;
  return static_cast<std::int32_t>(count);
}

}  // namespace qama::runtime
